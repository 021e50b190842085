"""What leads register with core's features, at start-up (apps.py)."""

from pathlib import Path

from django.db.models import Q

from contacts.company_matching import matched_by_domain
from core.api import routes
from core.changes import timeline
from core.demo import demo_parts
from core.lead_scoring.answers import reasons_in_words
from core.lead_scoring.demo import scores_of
from core.mail import opt_out
from core.notifications.reminders import remind
from core.notifications.watching import watch
from core.transfer import computed_columns
from core.transfer.headers import alias_files_for_people, headers_of, load
from core.transfer.import_rules import import_rules
from lead_management import (
    automation,  # noqa: F401  (triggers and actions)
    digest,  # noqa: F401  (its sections register themselves)
    reports,  # noqa: F401  (what may be reported)
    tools,  # noqa: F401  (what AI clients may do with leads)
)
from lead_management.api.views import LeadViewSet
from lead_management.demo import add_leads
from lead_management.imported import converted_when_it_was
from lead_management.querysets import HOT
from lead_management.timeline import CONVERSION

timeline.register(CONVERSION)
remind(
    "lead",
    "next_follow_up_at",
    "Follow up with ",
    condition="r.status NOT IN ('converted', 'unqualified', 'lost')",
)
watch("lead", "status")
watch("lead", "lead_score", type="score", above=HOT)
computed_columns.register("lead", "factors", reasons_in_words)
demo_parts.register("lead_management", add_leads)
demo_parts.register("lead_scores", scores_of("lead"))
headers_of.register("lead", load(*alias_files_for_people(), Path(__file__).with_name("headers.toml")))
import_rules.register("lead", (converted_when_it_was,))
routes.register("leads", LeadViewSet)

opt_out.register("lead")
matched_by_domain.register("lead", Q(converted_at=None))
