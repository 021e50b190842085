"""Deals, and what a model says of them."""

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy

from core.entities.reading import title
from core.lead_scoring.models import PendingRecord, RecordScore
from core.models.fields import choice, prose, text
from core.models.folding import Fold
from core.models.money import DEFAULT_CURRENCY, amount_field, rounds_amount
from core.models.record import (
    Record,
    ordered_index,
    record_constraints,
    record_indexes,
    record_triggers,
    search_text,
)
from opportunities import triggers
from opportunities.models.pipelines import PERCENT, Pipeline
from opportunities.querysets import OpportunityQuerySet

# Written by the system: they leave a deal's version as it is.
DERIVED = ("stage_changed_at", "win_score", "win_probability", "scored_at")


class ForecastCategory(models.TextChoices):
    PIPELINE = "pipeline", gettext_lazy("Pipeline")
    BEST_CASE = "best_case", gettext_lazy("Best Case")
    COMMIT = "commit", gettext_lazy("Commit")
    OMITTED = "omitted", gettext_lazy("Omitted")
    CLOSED = "closed", gettext_lazy("Closed")  # of a won deal; a lost one is omitted


class OpportunityStatus(models.TextChoices):
    OPEN = "open", gettext_lazy("Open")
    WON = "won", gettext_lazy("Won")
    LOST = "lost", gettext_lazy("Lost")


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
    amount = amount_field()
    currency = models.CharField(max_length=3, default=DEFAULT_CURRENCY, db_default=DEFAULT_CURRENCY)
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
    # Of an open deal, by a model (opportunities/scoring.py); a closed one keeps its last.
    win_score = models.PositiveSmallIntegerField(null=True, editable=False, validators=PERCENT)
    win_probability = models.FloatField(
        null=True, editable=False, validators=[MinValueValidator(0), MaxValueValidator(1)]
    )
    scored_at = models.DateTimeField(null=True, editable=False)
    search_text = search_text("name", "company_name", "next_step")

    objects: ClassVar = models.Manager.from_queryset(OpportunityQuerySet)()

    class Meta:
        verbose_name_plural = "opportunities"
        ordering = ["-id"]
        indexes = [
            *record_indexes("opportunity"),
            models.Index(fields=["pipeline", "stage", "-id"], name="opportunity_stage"),
            models.Index(fields=["status", "expected_close_date"], name="opportunity_closing"),
            # What was closed lately, the newest first, as the board shows it.
            models.Index(
                fields=["pipeline", "-actual_close_date", "-id"],
                name="opportunity_closed",
                condition=models.Q(archived_at=None, actual_close_date__isnull=False),
            ),
            models.Index(Fold("name"), "id", name="opportunity_name"),
            ordered_index("opportunity_by_amount", "amount"),
            models.Index(fields=["company", "-id"], name="opportunity_company"),
            models.Index(fields=["contact", "-id"], name="opportunity_contact"),
        ]
        constraints = [
            *record_constraints("opportunity"),
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="opportunity_amount"),
            models.CheckConstraint(condition=models.Q(probability__lte=100), name="opportunity_probability"),
        ]
        triggers = [
            *record_triggers("opportunity", derived=DERIVED, untracked=("stage_changed_at", "scored_at")),
            rounds_amount("amount"),
            triggers.FOLLOW_STAGE,
            triggers.NEXT_CONTACT,
        ]

    def __str__(self) -> str:
        return title(self)


class OpportunityScore(RecordScore):
    """Why a deal has its win probability."""

    opportunity_id = models.BigIntegerField(primary_key=True)


class OpportunityPending(PendingRecord):
    """A deal that waits to be scored."""

    opportunity_id = models.BigIntegerField(primary_key=True)
