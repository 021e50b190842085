"""The notification that an import in the background has ended, for the user who started it."""

from core.entities import entities
from core.notifications.models import Notification
from core.transfer.models import ImportJob

COUNTS = ("created", "updated", "unchanged", "skipped", "failed")


def notify_import_finished(job: ImportJob) -> None:
    """One notification per job, in the caller's transaction."""
    if job.user_id is None:
        return
    word = "undoing of an import" if job.kind == ImportJob.Kind.UNDO else "import"
    end = "failed" if job.success is False else "finished"
    counts = ", ".join(f"{getattr(job, name)} {name}" for name in COUNTS if getattr(job, name))
    notification = Notification(
        recipient_id=job.user_id,
        type="import_finished",
        title=f"Your {word} of {entities[job.entity].plural} has {end}",
        body=job.message or counts,
        entity="import",
        object_id=job.pk,
        key=f"import:{job.pk}",
    )
    Notification.objects.notify([notification])
