"""E-mail templates, and mail on its way out: a row first, then the sending."""

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from core.access import Permission, ReadAllPolicy, VisibleManager
from core.entities.usage import UsageTarget
from core.models.capture import captured


class EmailTemplate(models.Model):
    """A mail with `{{ … }}` in it, called by its `key`; `entity` is what it is about, if fixed."""

    policy = ReadAllPolicy(write=Permission.AUTOMATE)

    key = models.CharField(
        max_length=80,
        unique=True,
        validators=[
            RegexValidator(r"^[a-z][a-z0-9_-]*\Z", gettext_lazy("Lower-case letters, digits, _ and -."))
        ],
    )
    name = models.CharField(max_length=200)
    entity = models.CharField(max_length=40, blank=True, default="", db_default="")
    subject = models.CharField(max_length=500)
    text = models.TextField(blank=True, default="", db_default="")
    html = models.TextField(blank=True, default="", db_default="")
    # A receipt, an answer, a change of terms: what people get although they asked for no more mail.
    transactional = models.BooleanField(default=False, db_default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["name", "id"]
        triggers = captured("email_template", untracked=("updated_at",))

    def __str__(self) -> str:
        return self.name

    def usage_target(self) -> UsageTarget:
        """How definitions name this template."""
        return UsageTarget(
            format_lazy(gettext_lazy("The template {key}"), key=self.key),
            frozenset(("template_id",)),
            frozenset((self.key, str(self.pk))),
        )


def _addresses(**options: Any) -> ArrayField:
    return ArrayField(models.CharField(max_length=320), default=list, blank=True, **options)


class EmailMessage(models.Model):
    """One mail. `key` makes it unique and, being part of its Message-ID, lets receivers drop a repetition:
    a crash between the sending and the record of it sends the same mail, with the same id, again.

    `done` are the addresses whose copy was accepted: a mail to several people goes out as one copy for each,
    because each has a link of their own to unsubscribe. A `transactional` mail ignores opt-outs.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", gettext_lazy("Queued")
        SENT = "sent", gettext_lazy("Sent")
        FAILED = "failed", gettext_lazy("Failed")
        CANCELLED = "cancelled", gettext_lazy("Cancelled")

    key = models.CharField(max_length=120, unique=True)
    from_email = models.CharField(max_length=320, blank=True, default="")
    reply_to = models.CharField(max_length=320, blank=True, default="")
    to = _addresses()
    cc = _addresses()
    bcc = _addresses()
    subject = models.CharField(max_length=998)
    text = models.TextField(blank=True, default="")
    html = models.TextField(blank=True, default="")
    entity = models.CharField(max_length=40, blank=True, default="", db_default="")
    object_id = models.BigIntegerField(null=True, blank=True)
    transactional = models.BooleanField(default=False, db_default=False)
    template = models.ForeignKey(EmailTemplate, models.SET_NULL, null=True, blank=True, related_name="+")
    execution_id = models.BigIntegerField(null=True, blank=True)
    sender_id = models.BigIntegerField(null=True, blank=True)
    status = models.CharField(
        max_length=10, choices=Status.choices, default=Status.QUEUED, db_default="queued"
    )
    # When it may be claimed; while it is being sent, the end of the lease.
    due_at = models.DateTimeField(db_default=Now())
    fence = models.IntegerField(default=0, db_default=0)
    attempts = models.SmallIntegerField(default=0, db_default=0)
    done = _addresses(db_default=models.Value([], ArrayField(models.CharField(max_length=320))))
    error = models.TextField(blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["due_at", "id"], name="email_due", condition=models.Q(status="queued")),
            models.Index(fields=["entity", "object_id", "-id"], name="email_of_record"),
            models.Index(fields=["created_at"], name="email_age"),
        ]

    def __str__(self) -> str:
        return self.subject
