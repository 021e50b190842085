"""What opportunities add to automation."""

from core.webhooks import events
from core.workflows.triggers import ChangeTrigger, register
from core.workflows.triggers.base import FROM_TO, changed

register(
    ChangeTrigger(
        "stage_changed",
        entities=("opportunity",),
        settings=FROM_TO,
        narrow=changed("stage"),
        help_text="The stage changed.",
        when="the stage changed",
    )
)

for outcome in ("won", "lost"):
    events.register(f"opportunity.{outcome}", {"field": "status", "op": "changed_to", "value": outcome})
