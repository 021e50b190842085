"""Requests of persons: for what is kept of them, and to be forgotten."""

from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy

from core.access import AdminPolicy, VisibleManager


class PrivacyRequest(models.Model):
    """An export of a person's data, or their erasure; the state is in this row, as that of other long work.

    `subject` is who is meant, as it was asked for, and `found` what that led to (core.privacy.subject). Both
    go when an erasure ends, and later than that for an export or a dry run: what stays is the certificate,
    `counts` by table, which says nothing about the person.
    """

    policy = AdminPolicy()

    class Kind(models.TextChoices):
        EXPORT = "export", gettext_lazy("Export")
        ERASE = "erase", gettext_lazy("Erase")

    class Status(models.TextChoices):
        PENDING = "pending", gettext_lazy("Pending")
        RUNNING = "running", gettext_lazy("Running")
        FINISHED = "finished", gettext_lazy("Finished")
        FAILED = "failed", gettext_lazy("Failed")
        CANCELLED = "cancelled", gettext_lazy("Cancelled")

    OPEN = (Status.PENDING, Status.RUNNING)

    kind = models.CharField(max_length=6, choices=Kind.choices)
    # Count what would be erased, and erase nothing.
    dry_run = models.BooleanField(default=False, db_default=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    # Plain number, not a foreign key: the certificate outlives the account.
    requested_by_id = models.BigIntegerField(null=True)
    subject = models.JSONField(default=dict)
    found = models.JSONField(default=dict)
    # How far it is: the pass, the table, the last row of it.
    progress = models.JSONField(default=dict)
    # Table → {"deleted": …, "emptied": …, "redacted": …} or, of an export, {"rows": …}.
    counts = models.JSONField(default=dict)
    # What stays as it is, without the person: addresses that others have too, and records that may be theirs.
    kept = models.JSONField(default=list)
    message = models.TextField(blank=True, default="", db_default="")
    cancel_requested = models.BooleanField(default=False, db_default=False)
    # How often a step was begun since the last one that came to its end.
    attempt = models.SmallIntegerField(default=0, db_default=0)
    # Where the default storage keeps an export; "" once it is gone.
    stored_as = models.CharField(max_length=200, blank=True, default="", db_default="")
    size = models.BigIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["id"],
                name="privacy_request_open",
                condition=models.Q(status__in=("pending", "running")),
            ),
            models.Index(
                fields=["expires_at"],
                name="privacy_request_expires",
                condition=models.Q(expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN

    def total(self, name: str) -> int:
        """How many rows of all tables were `name`: deleted, emptied, redacted."""
        counted: list[dict[str, Any]] = list(self.counts.values())
        return sum(count.get(name, 0) for count in counted)
