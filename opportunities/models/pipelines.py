"""Pipelines, their stages, and why deals in them are lost."""

from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.access import Permission, ReadAllPolicy, VisibleManager
from core.entities.usage import UsageTarget
from core.errors import ConflictError
from core.models.capture import captured
from opportunities import triggers

PERCENT = [MinValueValidator(0), MaxValueValidator(100)]
# Percent, by what a deal in a closed stage is.
CERTAIN = {"won": 100, "lost": 0}
# Of a stage with deals in it.
FIXED = ("pipeline", "key", "is_won", "is_lost")
KEY = RegexValidator(r"^[a-z][a-z0-9_]*\Z", gettext_lazy("Use lower-case letters, digits and underscores."))


class Pipeline(models.Model):
    """A way of selling: an ordered list of stages. One pipeline is the default."""

    entity_name = "pipeline"
    policy = ReadAllPolicy(write=Permission.CONFIGURE)

    name = models.CharField(max_length=120)
    is_default = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["-is_default", "name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["name"], name="pipeline_name_unique"),
            models.UniqueConstraint(
                fields=["is_default"], name="pipeline_one_default", condition=models.Q(is_default=True)
            ),
        ]
        triggers = captured("pipeline", untracked=("created_at",))

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """There is always a default pipeline, and it is active."""
        super().clean()
        was_default = self.pk is not None and Pipeline.objects.filter(pk=self.pk, is_default=True).exists()
        if was_default and not self.is_default:
            message = _("There is always a default pipeline; make another one the default instead.")
            raise ValidationError({"is_default": message}, code="required")
        if self.is_default and not self.is_active:
            raise ValidationError({"is_active": _("The default pipeline is active.")}, code="default")

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises ConflictError for the default pipeline."""
        if self.is_default:
            raise ConflictError(_("This is the default pipeline; make another one the default first."))
        return super().delete(*args, **kwargs)

    def usage_target(self) -> UsageTarget:
        """How definitions name this pipeline."""
        return UsageTarget(
            format_lazy(gettext_lazy("Pipeline {name}"), name=self),
            frozenset(("pipeline", "pipeline_id")),
            frozenset((str(self.pk),)),
        )


class Stage(models.Model):
    """A step of a pipeline. `probability` in percent; `rotting_days` is how long a deal may rest here."""

    policy = ReadAllPolicy(write=Permission.CONFIGURE)

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="stages")
    key = models.CharField(max_length=40, validators=[KEY])
    name = models.CharField(max_length=120)
    position = models.PositiveSmallIntegerField(default=0)
    probability = models.PositiveSmallIntegerField(default=0, validators=PERCENT)
    is_won = models.BooleanField(default=False)
    is_lost = models.BooleanField(default=False)
    rotting_days = models.PositiveSmallIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])

    objects = VisibleManager()

    class Meta:
        ordering = ["pipeline", "position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["pipeline", "key"], name="stage_key_unique"),
            models.CheckConstraint(
                condition=~models.Q(is_won=True, is_lost=True), name="stage_not_won_and_lost"
            ),
            models.CheckConstraint(condition=models.Q(probability__lte=100), name="stage_probability"),
            models.CheckConstraint(
                condition=models.Q(is_won=False, is_lost=False)
                | models.Q(is_won=True, probability=100)
                | models.Q(is_lost=True, probability=0),
                name="stage_closed_probability",
            ),
        ]
        triggers = captured("stage")

    def __str__(self) -> str:
        return f"{self.pipeline}: {self.name}"

    @property
    def outcome(self) -> str:
        """What a deal in this stage is: open, won or lost."""
        return "won" if self.is_won else "lost" if self.is_lost else "open"

    def usage_target(self) -> UsageTarget:
        """How definitions name this stage; a key that other pipelines have as well keeps its meaning."""
        elsewhere = Stage.objects.filter(key=self.key).exclude(pk=self.pk).exists()
        values = frozenset() if elsewhere else frozenset((self.key,))
        return UsageTarget(
            format_lazy(gettext_lazy("Stage {name}"), name=self), frozenset(("stage", "from", "to")), values
        )

    def clean(self) -> None:
        """A won or lost stage has a fixed probability; a stage with deals in it keeps its key and outcome."""
        super().clean()
        if self.is_won and self.is_lost:
            raise ValidationError({"is_lost": _("A stage is won or lost, not both.")}, code="won_and_lost")
        certain = CERTAIN.get(self.outcome, self.probability)
        if self.probability != certain:
            message = (
                _("A won stage has a probability of %(certain)s.")
                if self.is_won
                else _("A lost stage has a probability of %(certain)s.")
            ) % {"certain": certain}
            raise ValidationError({"probability": message}, code="certain")
        before = Stage.objects.filter(pk=self.pk).first() if self.pk else None
        if before is not None:
            self._check_change(before)

    def _check_change(self, before: "Stage") -> None:
        changed = [name for name in FIXED if getattr(before, name) != getattr(self, name)]
        if changed and before.is_in_use():
            message = _("Opportunities are in this stage; make another one and move them.")
            raise ValidationError(dict.fromkeys(changed, message), code="in_use")
        meaning = set(changed) - {"key"}
        if meaning and before.is_last_of_its_kind():
            message = before._is_last()
            raise ValidationError(dict.fromkeys(meaning, message), code="last_of_its_kind")

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises ConflictError for a stage with deals in it, and for the last open, won or lost one."""
        if self.is_in_use():
            raise ConflictError(_("Opportunities are in this stage; move them first (move_to=…)."))
        if self.is_last_of_its_kind():
            raise ConflictError(self._is_last())
        return super().delete(*args, **kwargs)

    def _is_last(self) -> str:
        """That it is the last one with its outcome."""
        if self.is_won:
            text = _("This is the last won stage of %(pipeline)s.")
        elif self.is_lost:
            text = _("This is the last lost stage of %(pipeline)s.")
        else:
            text = _("This is the last open stage of %(pipeline)s.")
        return text % {"pipeline": self.pipeline}

    def is_in_use(self) -> bool:
        """Whether there are deals in this stage."""
        return self.pipeline.opportunities.filter(stage=self.key).exists()

    def is_last_of_its_kind(self) -> bool:
        """Whether its pipeline has no other open (or won, or lost) stage."""
        alike = Stage.objects.filter(pipeline=self.pipeline_id, is_won=self.is_won, is_lost=self.is_lost)
        return not alike.exclude(pk=self.pk).exists()


class LostReason(models.Model):
    """Why deals are lost, of one pipeline or of all. With the key `other` it lets in texts of one's own."""

    policy = ReadAllPolicy(write=Permission.CONFIGURE)
    OTHER = "other"

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, null=True, blank=True, related_name="lost_reasons")
    key = models.CharField(max_length=40, validators=[KEY])
    name = models.CharField(max_length=120)
    position = models.PositiveSmallIntegerField(default=0)
    is_active = models.BooleanField(default=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["pipeline", "position", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["pipeline", "key"], name="lost_reason_key_unique", nulls_distinct=False
            ),
            models.UniqueConstraint(
                fields=["pipeline", "name"], name="lost_reason_name_unique", nulls_distinct=False
            ),
        ]
        triggers = [
            *captured("lost_reason"),
            triggers.RENAME_REASON,
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Deals bear the name of their reason: one that any were lost for stays with its pipeline."""
        super().clean()
        before = LostReason.objects.filter(pk=self.pk).first() if self.pk else None
        if before is not None and before.pipeline_id != self.pipeline_id and before.is_in_use():
            message = _("Deals were lost for this reason; make another one.")
            raise ValidationError({"pipeline": message}, code="in_use")

    def is_in_use(self) -> bool:
        """Whether deals were lost for this reason."""
        deals = apps.get_model("opportunities.Opportunity").objects.filter(lost_reason=self.name)
        return (deals.filter(pipeline=self.pipeline_id) if self.pipeline_id else deals).exists()

    def usage_target(self) -> UsageTarget:
        """How definitions name this reason; words that another one has as well keep their meaning."""
        others = LostReason.objects.exclude(pk=self.pk).filter(
            models.Q(name=self.name) | models.Q(key=self.key)
        )
        kept = {word for other in others for word in (other.name, other.key)}
        values = frozenset((self.name, self.key)) - kept
        return UsageTarget(
            format_lazy(gettext_lazy("Lost reason {name}"), name=self),
            frozenset(("lost_reason",)),
            values,
            entity="opportunity",
        )

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises ConflictError for a reason that deals were lost for."""
        if self.is_in_use():
            raise ConflictError(_("Deals were lost for this reason; make it inactive instead."))
        return super().delete(*args, **kwargs)
