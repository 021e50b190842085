"""Lead scoring: models, rule sets, jobs, each lead's score with its reasons, and what waits to be scored."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy

from core.access import Permission, Policy, ReadAllPolicy, Role, VisibleManager, role_of
from core.access.policies import EVERYTHING
from core.lead_scoring.default_entity import DEFAULT_ENTITY


class ScoringModel(models.Model):
    """One training's artefact with all that is known of it. Its id is the version scores refer to.

    `holdout_model` is the same recipe fitted without the newest leads: it stands for the model when the next
    challenger is judged.
    """

    policy = ReadAllPolicy(write=Permission.CONFIGURE)

    class Status(models.TextChoices):
        ACTIVE = "active", gettext_lazy("Active")
        RETIRED = "retired", gettext_lazy("Retired")
        REJECTED = "rejected", gettext_lazy("Rejected")

    # What it scores: the name of a scored entity.
    entity = models.CharField(max_length=40, default=DEFAULT_ENTITY, db_default=DEFAULT_ENTITY)
    status = models.CharField(max_length=10, choices=Status.choices)
    artefact = models.JSONField()
    holdout_model = models.JSONField(null=True)
    card = models.JSONField(default=dict)
    verdict = models.JSONField(default=dict)
    # How the target's own use of the probabilities would have gone: of deals the forecast.
    backtest = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    hash = models.CharField(max_length=64)
    leads = models.IntegerField()
    wins = models.IntegerField()
    window_start = models.DateTimeField(null=True)
    window_end = models.DateTimeField(null=True)
    trained_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    activated_at = models.DateTimeField(null=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["entity"], condition=models.Q(status="active"), name="scoring_model_one_active"
            )
        ]

    def __str__(self) -> str:
        return f"scoring model {self.pk}"


class ScoringRules(models.Model):
    """One version of the rule set; the newest counts. Versions are never changed.

    `means` are the points that each feature of the rules gave closed leads on average when the version was
    made: what a model takes off, so that a typical lead stays at its base.
    """

    policy = ReadAllPolicy(write=Permission.CONFIGURE)

    content = models.JSONField()
    means = models.JSONField(null=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = VisibleManager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "scoring rules"

    def __str__(self) -> str:
        return f"rule set {self.pk}"


class BarredFeature(models.Model):
    """A feature that scoring must not learn from, by its key: barred by an administrator while it runs, as
    SCORING_EXCLUDED_FEATURES bars it for an installation."""

    policy = ReadAllPolicy(write=Permission.CONFIGURE)

    entity = models.CharField(max_length=40, default=DEFAULT_ENTITY, db_default=DEFAULT_ENTITY)
    feature = models.CharField(max_length=120)
    reason = models.CharField(max_length=500, blank=True, default="", db_default="")
    barred_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = VisibleManager()

    class Meta:
        ordering = ["feature"]
        constraints = [models.UniqueConstraint(fields=["entity", "feature"], name="scoring_barred_once")]

    def __str__(self) -> str:
        return self.feature


class JobPolicy(Policy):
    """One's own jobs; administrators see all."""

    def rows(self, user: object, action: str) -> models.Q:
        if role_of(user) == Role.ADMIN:
            return EVERYTHING
        return models.Q(requested_by_id=getattr(user, "pk", None))


class ScoringJob(models.Model):
    """Bulk scoring or a retraining. The state is this row; queue messages only wake a worker.

    A worker holds an advisory lock on the id while it works: `running` with a free lock has lost its worker.
    """

    policy = JobPolicy()

    class Kind(models.TextChoices):
        BULK = "bulk_score", gettext_lazy("Bulk")
        RETRAIN = "retrain", gettext_lazy("Retrain")

    class Status(models.TextChoices):
        PENDING = "pending", gettext_lazy("Pending")
        RUNNING = "running", gettext_lazy("Running")
        FINISHED = "finished", gettext_lazy("Finished")
        FAILED = "failed", gettext_lazy("Failed")

    entity = models.CharField(max_length=40, default=DEFAULT_ENTITY, db_default=DEFAULT_ENTITY)
    task_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    # {"ids": […]}, {"filter": {…}} or {} for all.
    selection = models.JSONField(default=dict)
    total = models.IntegerField(null=True)
    done = models.IntegerField(default=0, db_default=0)
    # Leads up to this id are done.
    position = models.BigIntegerField(default=0, db_default=0)
    attempts = models.SmallIntegerField(default=0, db_default=0)
    message = models.TextField(blank=True, default="", db_default="")
    result = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["id"], name="scoring_job_open", condition=models.Q(status__in=("pending", "running"))
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["entity"],
                condition=models.Q(kind="retrain", status__in=("pending", "running")),
                name="scoring_one_retraining",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.task_id}"


class RecordScore(models.Model):
    """The score of one record with its reasons, in the order of the model (or, without one, the rule set)
    that scored it: points by factor; the bin of each input and which rules held, 15 to a number.

    Each scored entity has a table of these, whose primary key is the record's id. No foreign keys: rows are
    written set at a time, and go when the change table says that their record went.
    """

    score = models.SmallIntegerField()
    probability = models.FloatField()
    model_id = models.BigIntegerField(null=True)
    rules_id = models.BigIntegerField(null=True)
    points = ArrayField(models.SmallIntegerField())
    codes = ArrayField(models.SmallIntegerField())
    scored_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.pk.name.removesuffix('_id')} {self.pk}: {self.score}"


class PendingRecord(models.Model):
    """A record something of which changed that its score depends on; its primary key is the record's id."""

    marked_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.pk.name.removesuffix('_id')} {self.pk}"


class LeadScore(RecordScore):
    lead_id = models.BigIntegerField(primary_key=True)


class ScoringPending(PendingRecord):
    lead_id = models.BigIntegerField(primary_key=True)
