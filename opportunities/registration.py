"""What opportunities register with core's features, at start-up (apps.py)."""

from pathlib import Path

from core.api import routes
from core.changes import timeline
from core.demo import demo_parts
from core.entities.dependents import FurtherReference, further_references
from core.lead_scoring.demo import scores_of
from core.notifications.types import EMAIL, IN_APP
from core.notifications.watching import announce, watch
from core.transfer import computed_columns, linked_columns
from core.transfer.headers import alias_files_for_records, headers_of, load
from core.transfer.import_rules import import_rules
from opportunities import (
    automation,  # noqa: F401  (triggers and actions)
    digest,  # noqa: F401  (its sections register themselves)
    reports,  # noqa: F401  (what may be reported)
    scoring,  # noqa: F401  (what is scored, and its features)
)
from opportunities.api.views import LostReasonViewSet, OpportunityViewSet, PipelineViewSet, StageViewSet
from opportunities.deal_contacts import in_words, of_others
from opportunities.demo import add_deal_contacts, add_opportunities
from opportunities.imported import (
    closed_on_its_close_date,
    in_the_stage_it_names,
    in_the_stage_of_its_status,
)
from opportunities.linked import CONTACTS
from opportunities.timeline import CONTACTS as CONTACTS_TIMELINE

timeline.register(CONTACTS_TIMELINE)
further_references.register(
    "opportunity.contacts", FurtherReference("opportunity", "contacts", target="contact", condition=of_others)
)
computed_columns.register("opportunity", "contacts", in_words)
linked_columns.register(CONTACTS)
watch("opportunity", "stage")
announce(
    "opportunity",
    "deal_won",
    label="A deal you follow, or of your team, is won",
    condition={"field": "status", "op": "changed_to", "value": "won"},
    title="Deal won: {name}",
    many="deals were won",
    recipients=("followers", "owners_managers"),
    channels=(IN_APP, EMAIL),
)
demo_parts.register("opportunities", add_opportunities)
demo_parts.register("deal_contacts", add_deal_contacts)
demo_parts.register("deal_scores", scores_of("opportunity"))
import_rules.register(
    "opportunity", (in_the_stage_it_names, in_the_stage_of_its_status, closed_on_its_close_date)
)
headers_of.register("opportunity", load(*alias_files_for_records(), Path(__file__).with_name("headers.toml")))
routes.register("opportunities", OpportunityViewSet)
routes.register("pipelines", PipelineViewSet)
routes.register("stages", StageViewSet)
routes.register("lost_reasons", LostReasonViewSet)
