"""Imports, their faults, exports, and saved mappings."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy, pgettext_lazy

from core.access import OwnPolicy, VisibleManager


class Job(models.Model):
    """Abstract base of long work: the state is in this row, a queue message only starts a worker.

    A worker that runs it holds an advisory lock on its id for the length of its transaction: a job that is
    `running` and whose lock is free lost its worker, and another may run it at once.
    """

    policy = OwnPolicy()

    class Status(models.TextChoices):
        PENDING = "pending", gettext_lazy("Pending")
        RUNNING = "running", gettext_lazy("Running")
        FINISHED = "finished", gettext_lazy("Finished")
        FAILED = "failed", gettext_lazy("Failed")
        CANCELLED = "cancelled", gettext_lazy("Cancelled")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    entity = models.CharField(max_length=40)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    # Why it failed, in words for the user.
    message = models.TextField(blank=True, default="", db_default="")
    attempt = models.SmallIntegerField(default=0, db_default=0)
    cancel_requested = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # Where the default storage keeps the file of the job; "" once it is gone.
    stored_as = models.CharField(max_length=200, blank=True, default="", db_default="")

    objects = VisibleManager()

    class Meta:
        abstract = True
        ordering = ["-id"]

    @property
    def is_open(self) -> bool:
        return self.status in (self.Status.PENDING, self.Status.RUNNING)


class ImportJob(Job):
    """One import, or the undoing of one. Its id is on every change it made (`core_change.import_id`).

    read = created + updated + unchanged + skipped + failed, at any time; `removed`, `restored` and `kept`
    count what an undo did.
    """

    class Kind(models.TextChoices):
        IMPORT = "import", pgettext_lazy("noun", "Import")
        UNDO = "undo", gettext_lazy("Undo")

    kind = models.CharField(max_length=6, choices=Kind.choices, default=Kind.IMPORT)
    file_name = models.CharField(max_length=255, blank=True, default="", db_default="")
    file_hash = models.CharField(max_length=64, blank=True, default="", db_default="")
    file_size = models.BigIntegerField(default=0, db_default=0)
    # How the file is read and what is to be done with it; exactly what the preview showed.
    settings = models.JSONField(default=dict)
    headers = ArrayField(models.TextField(), default=list)
    warnings = models.JSONField(default=list)
    request_id = models.CharField(max_length=64, blank=True, default="", db_default="")
    rows = models.IntegerField(default=0, db_default=0)
    rows_estimated = models.BooleanField(default=True, db_default=True)
    read = models.IntegerField(default=0, db_default=0)
    created = models.IntegerField(default=0, db_default=0)
    updated = models.IntegerField(default=0, db_default=0)
    unchanged = models.IntegerField(default=0, db_default=0)
    skipped = models.IntegerField(default=0, db_default=0)
    failed = models.IntegerField(default=0, db_default=0)
    # Rows that came in, with something left out of them or in doubt.
    warned = models.IntegerField(default=0, db_default=0)
    removed = models.IntegerField(default=0, db_default=0)
    restored = models.IntegerField(default=0, db_default=0)
    kept = models.IntegerField(default=0, db_default=0)
    success = models.BooleanField(null=True)
    undoes = models.ForeignKey("self", models.CASCADE, null=True, related_name="undoings")

    class Meta(Job.Meta):
        abstract = False
        indexes = [
            models.Index(fields=["user", "-id"], name="import_of_user"),
            models.Index(fields=["entity", "file_hash"], name="import_of_file"),
            models.Index(
                fields=["status"], name="import_open", condition=models.Q(status__in=("pending", "running"))
            ),
        ]
        constraints = [
            # One at a time: a failed undoing may be asked for again, and a finished one for what it kept.
            models.UniqueConstraint(
                fields=["undoes"],
                name="import_undone_once",
                condition=models.Q(status__in=("pending", "running")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} of {self.entity}"


class ImportIssue(models.Model):
    """A row that was not imported, with all that is wrong with it; one that came in with warnings; or a
    record that an undo left as it was."""

    class Kind(models.TextChoices):
        ERROR = "error", gettext_lazy("Error")
        # The row came in, without or with a doubtful value in some of its fields.
        WARNING = "warning", gettext_lazy("Warning")
        SKIPPED = "skipped", gettext_lazy("Skipped")
        KEPT = "kept", gettext_lazy("Kept")

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="issues")
    kind = models.CharField(max_length=7, choices=Kind.choices)
    row = models.IntegerField(default=0)
    line = models.IntegerField(default=0)
    object_id = models.BigIntegerField(null=True)
    # The cells as they stood in the file.
    cells = ArrayField(models.TextField(), default=list)
    errors = models.JSONField(default=list)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["job", "kind", "id"], name="issue_of_import")]

    def __str__(self) -> str:
        return f"row {self.row} of import {self.job_id}"


class ExportJob(Job):
    """An export made in the background, to be fetched by its user until it expires."""

    format = models.CharField(max_length=5)
    # The query of the list it was asked with.
    params = models.JSONField(default=dict)
    file_name = models.CharField(max_length=255, blank=True, default="", db_default="")
    rows = models.IntegerField(default=0, db_default=0)
    size = models.BigIntegerField(default=0, db_default=0)
    expires_at = models.DateTimeField(null=True)
    # The fields that were hidden from its user while it was written, as "entity field".
    hidden = ArrayField(models.TextField(), default=list, db_default=[])

    class Meta(Job.Meta):
        abstract = False
        indexes = [models.Index(fields=["user", "-id"], name="export_of_user")]

    def __str__(self) -> str:
        return f"export {self.pk} of {self.entity}"


class SavedMapping(models.Model):
    """An import's settings under a name."""

    policy = OwnPolicy(owner="owner")

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    entity = models.CharField(max_length=40)
    name = models.CharField(max_length=120)
    settings = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["entity", "name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "entity", "name"], name="mapping_name_unique"),
        ]

    def __str__(self) -> str:
        return self.name
