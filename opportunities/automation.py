"""What opportunities add to automation."""

from core.workflows.triggers import ChangeTrigger, register
from core.workflows.triggers.base import FROM_TO, changed

register(
    ChangeTrigger(
        "stage_changed",
        entities=("opportunity",),
        settings=FROM_TO,
        narrow=changed("stage"),
        help_text="The stage changed.",
    )
)
