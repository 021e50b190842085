"""Telling owners that something was deleted which theirs use."""

from collections.abc import Sequence

from core.accounts.models import User
from core.entities.usage import Usage, UsageTarget, listeners
from core.labels import english
from core.notifications.models import Notification

NOUNS = {"email_template": "e-mail template", "import_mapping": "import mapping", "saved_view": "saved view"}


def notify_owners(target: UsageTarget, found: Sequence[Usage]) -> None:
    """One message for each owner of each thing that uses the target."""
    named = {pk for usage in found for pk in usage.owners}
    active = set(User.objects.filter(pk__in=named, is_active=True).values_list("pk", flat=True))
    Notification.objects.notify(
        Notification(
            recipient_id=owner,
            type="in_use_deleted",
            title=f"{english(target.label)} was deleted, which {usage.name!r} uses"[:300],
            body=_body(usage),
        )
        for usage in found
        for owner in usage.owners
        if owner in active
    )


def _body(usage: Usage) -> str:
    noun = NOUNS.get(usage.source, usage.source)
    places = f" at {', '.join(usage.where)}" if usage.where else ""
    advice = "What would fail without it was paused: change it, then resume."
    return f"Your {noun} {usage.pk} names it{places}. {advice}"


listeners.register("notifications", notify_owners)
