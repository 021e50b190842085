"""Pipelines, their stages, and the deals that move through them."""

import pgtrigger
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from core.access import Permission, ReadAllPolicy, VisibleManager
from core.models.capture import captured
from core.models.fields import choice, prose, text
from core.models.record import Record, record_constraints, record_indexes, record_triggers, search_text
from opportunities.querysets import OpportunityQuerySet

PERCENT = [MinValueValidator(0), MaxValueValidator(100)]
# Of a stage with deals in it.
FIXED = ("pipeline", "key", "is_won", "is_lost")
KEY = RegexValidator(r"^[a-z][a-z0-9_]*\Z", "Use lower-case letters, digits and underscores.")


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
        ]
        triggers = captured("stage")

    def __str__(self) -> str:
        return f"{self.pipeline}: {self.name}"

    def clean(self) -> None:
        """What a stage means to the deals in it stays as it is."""
        super().clean()
        if self.is_won and self.is_lost:
            raise ValidationError({"is_lost": "A stage is won or lost, not both."}, code="won_and_lost")
        before = Stage.objects.filter(pk=self.pk).first() if self.pk else None
        changed = [name for name in FIXED if before and getattr(before, name) != getattr(self, name)]
        if changed and Opportunity.objects.filter(pipeline=before.pipeline_id, stage=before.key).exists():
            message = "Opportunities are in this stage; make another one and move them."
            raise ValidationError(dict.fromkeys(changed, message), code="in_use")


class ForecastCategory(models.TextChoices):
    PIPELINE = "pipeline"
    BEST_CASE = "best_case"
    COMMIT = "commit"
    OMITTED = "omitted"


class OpportunityStatus(models.TextChoices):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


# The stage decides about probability, status and closing date, whoever writes the row.
_FOLLOW_STAGE = """
SELECT s.probability, s.is_won, s.is_lost INTO st
  FROM opportunities_stage s WHERE s.pipeline_id = NEW.pipeline_id AND s.key = NEW.stage;
IF NOT FOUND THEN RETURN NEW; END IF;
IF TG_OP = 'INSERT' THEN
    NEW.stage_changed_at := coalesce(NEW.stage_changed_at, clock_timestamp());
    NEW.probability := coalesce(NEW.probability, st.probability);
ELSIF (NEW.pipeline_id, NEW.stage) IS DISTINCT FROM (OLD.pipeline_id, OLD.stage) THEN
    NEW.stage_changed_at := clock_timestamp();
    IF NEW.probability IS NOT DISTINCT FROM OLD.probability THEN NEW.probability := st.probability; END IF;
END IF;
NEW.probability := CASE WHEN st.is_won THEN 100 WHEN st.is_lost THEN 0
                        ELSE coalesce(NEW.probability, st.probability) END;
NEW.status := CASE WHEN st.is_won THEN 'won' WHEN st.is_lost THEN 'lost' ELSE 'open' END;
NEW.actual_close_date := CASE WHEN st.is_won OR st.is_lost
                              THEN coalesce(NEW.actual_close_date, current_date) END;
RETURN NEW;
"""


class Opportunity(Record):
    """A deal. `stage` is the key of a stage of its pipeline; a composite foreign key holds both together
    (see the first migration)."""

    entity_name = "opportunity"

    name = models.CharField(max_length=200)
    company = models.ForeignKey(
        "contacts.Company", models.SET_NULL, null=True, blank=True, related_name="opportunities"
    )
    contact = models.ForeignKey(
        "contacts.Contact", models.SET_NULL, null=True, blank=True, related_name="opportunities"
    )
    company_name = text(200)
    pipeline = models.ForeignKey(Pipeline, models.PROTECT, related_name="opportunities")
    stage = models.CharField(max_length=40)
    status = models.CharField(
        max_length=4, choices=OpportunityStatus.choices, default="open", db_default="open", editable=False
    )
    amount = models.DecimalField(
        max_digits=15, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    currency = models.CharField(max_length=3, default="USD", db_default="USD")
    probability = models.PositiveSmallIntegerField(null=True, blank=True, validators=PERCENT)
    forecast_category = choice(ForecastCategory.choices, ForecastCategory.PIPELINE)
    expected_close_date = models.DateField(null=True, blank=True)
    actual_close_date = models.DateField(null=True, blank=True)
    lost_reason = text(300)
    lead_source = text(40)
    next_step = text(300)
    last_contacted_at = models.DateTimeField(null=True, blank=True)
    notes = prose()
    stage_changed_at = models.DateTimeField(null=True, editable=False)
    search_text = search_text("name", "company_name", "next_step")

    objects = models.Manager.from_queryset(OpportunityQuerySet)()

    class Meta:
        verbose_name_plural = "opportunities"
        ordering = ["-id"]
        indexes = [
            *record_indexes("opportunity"),
            models.Index(fields=["pipeline", "stage", "-id"], name="opportunity_stage"),
            models.Index(fields=["status", "expected_close_date"], name="opportunity_closing"),
            models.Index(fields=["company", "-id"], name="opportunity_company"),
            models.Index(fields=["contact", "-id"], name="opportunity_contact"),
        ]
        constraints = [
            *record_constraints("opportunity"),
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="opportunity_amount"),
            models.CheckConstraint(condition=models.Q(probability__lte=100), name="opportunity_probability"),
        ]
        triggers = [
            *record_triggers("opportunity", derived=("stage_changed_at",), untracked=("stage_changed_at",)),
            pgtrigger.Trigger(
                name="follow_stage",
                level=pgtrigger.Row,
                when=pgtrigger.Before,
                operation=pgtrigger.Insert
                | pgtrigger.UpdateOf("stage", "pipeline_id", "probability", "status", "actual_close_date"),
                declare=[("st", "record")],
                func=_FOLLOW_STAGE,
            ),
        ]

    def __str__(self) -> str:
        return self.name
