"""The change table: audit trail, record history, timeline and outbox in one (docs/architecture.md)."""

from typing import Any

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy, pgettext_lazy

from core.access import AdminPolicy, VisibleManager


def append_only(table: str) -> pgtrigger.Trigger:
    """A trigger that lets rows of a table be added and never changed or removed, save for maintenance."""
    return pgtrigger.Trigger(
        name="append_only",
        operation=pgtrigger.Update | pgtrigger.Delete | pgtrigger.Truncate,
        level=pgtrigger.Statement,
        when=pgtrigger.Before,
        func=(
            "IF current_setting('crm.maintenance', true) = 'on' THEN RETURN NULL; END IF;"
            f" RAISE EXCEPTION '{table} is append-only' USING ERRCODE = 'insufficient_privilege';"
        ),
    )


class Xid8Field(models.Field):
    """PostgreSQL's 64-bit transaction id, which never wraps around."""

    def db_type(self, connection: Any) -> str:
        return "xid8"

    def get_internal_type(self) -> str:
        return "Xid8Field"

    def get_prep_value(self, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> int | None:
        return None if value is None else int(value)


class Change(models.Model):
    """One change of one record. Written by triggers only; never updated, deleted only by maintenance.

    `changes` maps column to [old, new] and is empty for creations: the first state of a record is its
    present one with all later changes undone (core.changes.history).
    """

    class Kind(models.TextChoices):
        CREATED = "created", gettext_lazy("Created")
        UPDATED = "updated", gettext_lazy("Updated")
        ARCHIVED = "archived", gettext_lazy("Archived")
        RESTORED = "restored", gettext_lazy("Restored")
        DELETED = "deleted", gettext_lazy("Deleted")

    class Source(models.TextChoices):
        API = "api", gettext_lazy("Api")
        ADMIN = "admin", gettext_lazy("Admin")
        IMPORT = "import", pgettext_lazy("noun", "Import")
        BULK = "bulk", gettext_lazy("Bulk")
        WORKFLOW = "workflow", gettext_lazy("Workflow")
        AGENT = "agent", gettext_lazy("Agent")
        SYSTEM = "system", gettext_lazy("System")
        SQL = "sql", gettext_lazy("Sql")

    entity = models.CharField(max_length=40)
    object_id = models.BigIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    changes = models.JSONField(default=dict)
    # Plain numbers, not foreign keys: the trail outlives what it speaks of.
    actor_id = models.BigIntegerField(null=True)
    source = models.CharField(max_length=10, choices=Source.choices)
    request_id = models.CharField(max_length=64, blank=True, default="", db_default="")
    import_id = models.BigIntegerField(null=True)
    execution_id = models.BigIntegerField(null=True)
    # The session of an AI client that acted for the actor, and what the client is called.
    agent_session_id = models.BigIntegerField(null=True)
    agent = models.CharField(max_length=120, blank=True, default="", db_default="")
    depth = models.SmallIntegerField(default=0, db_default=0)
    at = models.DateTimeField(db_default=Now())
    xid = Xid8Field(db_default=RawSQL("pg_current_xact_id()", []))

    class Meta:
        ordering = ["xid", "id"]
        indexes = [
            models.Index(fields=["xid", "id"], name="change_feed"),
            models.Index(fields=["entity", "object_id", "-id"], name="change_of_record"),
            models.Index(
                fields=["import_id"], name="change_of_import", condition=models.Q(import_id__isnull=False)
            ),
            models.Index(
                fields=["agent_session_id"],
                name="change_of_agent",
                condition=models.Q(agent_session_id__isnull=False),
            ),
            BrinIndex(fields=["at"], name="change_at", autosummarize=True),
        ]
        triggers = [append_only("core_change")]

    def __str__(self) -> str:
        return f"{self.entity} {self.object_id} {self.kind}"


class Outbox(models.Model):
    """One row per statement that changed records, until the dispatcher has fed its changes to the consumers.

    The changes are those of `xid` with ids from `min_id` to `max_id`: a million imported rows are some
    hundred rows here. `automation` is false when the writer asked for no workflows.
    """

    entity = models.CharField(max_length=40)
    xid = Xid8Field(db_default=RawSQL("pg_current_xact_id()", []))
    min_id = models.BigIntegerField()
    max_id = models.BigIntegerField()
    rows = models.IntegerField()
    automation = models.BooleanField(default=True, db_default=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.rows} changes of {self.entity}"


class FailedDispatch(models.Model):
    """Changes one consumer could not take: fed again at `due_at`. Where that is null they were given up and
    need a person: mend the cause, then "Try again now" in the admin site, which sets it.

    They wait apart from the outbox, so that everything else goes on.
    """

    consumer = models.CharField(max_length=60)
    entity = models.CharField(max_length=40)
    automation = models.BooleanField()
    change_ids = ArrayField(models.BigIntegerField())
    attempts = models.PositiveSmallIntegerField(default=1)
    due_at = models.DateTimeField(null=True, db_index=True)
    error = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{len(self.change_ids)} changes of {self.entity} for {self.consumer}"


class AuditSeal(models.Model):
    """A link of the hash chain over the change table (core.changes.seals), written once.

    It holds the SHA-256 of each change with ids from `first_id` to `last_id`, in `hashes` beside `ids`, each
    made with `salt`. `digest` is made of these and `hash` of it, of the other columns and of `previous`, the
    hash of the seal before. Where an erasure, the retention or an archive changes sealed rows, a seal of its
    own takes the place of theirs, whose salt, ids and hashes go: without the salt nobody can try out what an
    erased row held, and `replaced_by` names the seal that took its place. `affected` rows were changed or
    removed then; `touched` are those that were not as they had been sealed already before. Where they were
    not sealed yet, `unsealed` names them, and the seal only says what was done: it holds no hashes.
    """

    policy = AdminPolicy()

    class Kind(models.TextChoices):
        SEALED = "sealed"
        ERASED = "erased"
        PRUNED = "pruned"
        ARCHIVED = "archived"

    # Counted without gaps, by whoever writes the seal.
    id = models.BigIntegerField(primary_key=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    rows = models.IntegerField()
    affected = models.IntegerField()
    touched = ArrayField(models.BigIntegerField())
    unsealed = ArrayField(models.BigIntegerField())
    reason = models.CharField(max_length=100, blank=True)
    actor_id = models.BigIntegerField(null=True)
    at = models.DateTimeField()
    replaced_by = models.BigIntegerField(null=True)
    salt = models.BinaryField(null=True)
    ids = ArrayField(models.BigIntegerField(), null=True)
    hashes = ArrayField(models.BinaryField(), null=True)
    digest = models.BinaryField()
    previous = models.BinaryField()
    hash = models.BinaryField()

    objects = VisibleManager()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["first_id"], name="seal_in_force", condition=models.Q(ids__isnull=False)),
            models.Index(fields=["-at"], name="seal_at", condition=models.Q(kind="sealed")),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(id__gte=1), name="seal_counted"),
            models.CheckConstraint(
                condition=models.Q(last_id__gte=models.F("first_id")), name="seal_of_a_range"
            ),
        ]
        triggers = [append_only("core_auditseal")]

    def __str__(self) -> str:
        return f"seal {self.pk}"


class SealBound(models.Model):
    """One row: all changes up to `last_id` are there or will never be, once transaction `xid` and all before
    it have ended."""

    last_id = models.BigIntegerField()
    xid = Xid8Field()

    def __str__(self) -> str:
        return f"changes up to {self.last_id}"


class ChangeRetention(models.Model):
    """What CHANGE_DAYS is from a moment on. Written by `manage.py prepare` and `migrate`, as the role that
    owns the tables (backend.database_roles): no process of the CRM makes the changes be kept for less."""

    days = models.PositiveIntegerField()
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.days} days from {self.at}"


class ChangeArchive(models.Model):
    """Changes of a month that are in a file and no more in the table (core.changes.archiving): those up to
    `last_id`, whose transactions are not above `last_xid`. Written by the role that owns the tables."""

    policy = AdminPolicy()

    at = models.DateTimeField(db_default=Now())
    # The first day of the month, in UTC.
    month = models.DateField()
    file = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64)
    rows = models.BigIntegerField()
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    last_xid = Xid8Field()

    objects = VisibleManager()

    class Meta:
        ordering = ["-last_id"]

    def __str__(self) -> str:
        return self.file


class AuditVerification(models.Model):
    """One comparison of the change table with its seals, and what it found."""

    policy = AdminPolicy()

    at = models.DateTimeField(db_default=Now())
    # The first seal whose rows were compared, and the last seal there was.
    first_seal = models.BigIntegerField(null=True)
    last_seal = models.BigIntegerField(null=True)
    rows = models.BigIntegerField()
    anchors = models.IntegerField()
    problems = models.IntegerField()
    first_problem = models.TextField(blank=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["-id"]
        triggers = [append_only("core_auditverification")]

    def __str__(self) -> str:
        return f"verification {self.pk}"
