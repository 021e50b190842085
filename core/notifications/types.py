"""Types of notifications and the channels of each, unless its recipient chooses others."""

from dataclasses import dataclass

from core.registry import Registry

IN_APP, EMAIL, PUSH, SMS = "in_app", "email", "push", "sms"
CHANNELS = (IN_APP, EMAIL, PUSH, SMS)


@dataclass(frozen=True)
class NotificationType:
    """`urgent` ones may pass the quiet hours if the recipient allows it; `channels` are the defaults."""

    name: str
    label: str
    channels: frozenset[str]
    urgent: bool = False


types: Registry[NotificationType] = Registry("notification type")


def register(name: str, label: str, *channels: str, urgent: bool = False) -> NotificationType:
    return types.register(name, NotificationType(name, label, frozenset(channels), urgent))


register("mention", "Someone mentions you", IN_APP, EMAIL, PUSH)
register("assignment", "Something is assigned to you", IN_APP, EMAIL, PUSH)
register("share", "Something is shared with you", IN_APP, EMAIL)
register("comment", "A comment on what you follow", IN_APP, PUSH)
register("update", "What you follow changes its status or stage", IN_APP)
register("score", "What you follow crosses a score", IN_APP)
register("reminder", "A reminder is due", IN_APP, EMAIL, PUSH, urgent=True)
register("overdue", "A task of yours is overdue", IN_APP)
register("workflow", "A workflow has a message for you", IN_APP)
register("workflow_failed", "A workflow of yours has failed", IN_APP, EMAIL, urgent=True)
register("in_use_deleted", "Something that yours uses was deleted", IN_APP, EMAIL)
register("scoring_failed", "Training the lead scores has failed", IN_APP, EMAIL)
register("scoring_suspicion", "The newest outcomes of leads look wrong", IN_APP, EMAIL)
register("scoring_drift", "Lead scores may no longer hold", IN_APP, EMAIL)
register("import_finished", "An import of yours has finished", IN_APP)
