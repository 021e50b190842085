"""What tasks register with core's features, at start-up (apps.py)."""

from pathlib import Path

from core.activities.demo import add_activities
from core.api import routes
from core.changes import timeline
from core.demo import demo_parts
from core.entities.relation_transfer import relation_movers
from core.notifications.reminders import remind
from core.notifications.watching import watch
from core.sharing.demo import add_shares
from core.transfer import computed_columns, linked_columns
from core.transfer.headers import alias_files_for_records, headers_of, load
from core.transfer.import_rules import import_rules
from tasks import (
    automation,  # noqa: F401  (triggers and actions)
    digest,  # noqa: F401  (its sections register themselves)
    tools,  # noqa: F401  (what AI clients may do with tasks)
)
from tasks.api.calendar import CalendarViewSet
from tasks.api.views import TaskViewSet
from tasks.demo import add_tasks
from tasks.demo_automation import add_workflows
from tasks.imported import completed_when_it_was
from tasks.linked import FURTHER_RECORDS
from tasks.operations import move_tasks
from tasks.records import in_words
from tasks.timeline import TASKS

STILL_OPEN = "r.status IN ('pending', 'in_progress')"

relation_movers.register("tasks", move_tasks)
computed_columns.register("task", "records", in_words)
linked_columns.register(FURTHER_RECORDS)
timeline.register(TASKS)
remind("task", "reminder_at", "Reminder: ", condition=STILL_OPEN)
remind("task", "due_date", "Overdue: ", type="overdue", condition=STILL_OPEN, many="tasks are overdue")
watch("task", "status")
demo_parts.register("activities", add_activities)
demo_parts.register("tasks", add_tasks)
demo_parts.register("workflows", add_workflows)
demo_parts.register("shares", add_shares)
headers_of.register("task", load(*alias_files_for_records(), Path(__file__).with_name("headers.toml")))
import_rules.register("task", (completed_when_it_was,))
routes.register("tasks", TaskViewSet)
routes.register("calendar", CalendarViewSet)
