"""Pipelines, their stages, and the deals that move through them."""

from typing import Any, ClassVar

import pgtrigger
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from contacts.models import Contact
from core.access import Permission, Policy, ReadAllPolicy, VisibleManager
from core.entities.usage import UsageTarget
from core.errors import ConflictError
from core.lead_scoring.models import PendingRecord, RecordScore
from core.models.capture import captured, captured_part
from core.models.fields import choice, prose, text
from core.models.folding import Fold
from core.models.money import DEFAULT_CURRENCY, amount_field, rounds_amount
from core.models.record import Record, record_constraints, record_indexes, record_triggers, search_text
from opportunities.querysets import OpportunityQuerySet

PERCENT = [MinValueValidator(0), MaxValueValidator(100)]
# Percent, by what a deal in a closed stage is.
CERTAIN = {"won": 100, "lost": 0}
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

    def clean(self) -> None:
        """There is always a default pipeline, and it is active."""
        super().clean()
        was_default = self.pk is not None and Pipeline.objects.filter(pk=self.pk, is_default=True).exists()
        if was_default and not self.is_default:
            message = "There is always a default pipeline; make another one the default instead."
            raise ValidationError({"is_default": message}, code="required")
        if self.is_default and not self.is_active:
            raise ValidationError({"is_active": "The default pipeline is active."}, code="default")

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises ConflictError for the default pipeline."""
        if self.is_default:
            raise ConflictError("This is the default pipeline; make another one the default first.")
        return super().delete(*args, **kwargs)

    def usage_target(self) -> UsageTarget:
        """How definitions name this pipeline."""
        return UsageTarget(
            f"Pipeline {self}", frozenset(("pipeline", "pipeline_id")), frozenset((str(self.pk),))
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
        return UsageTarget(f"Stage {self}", frozenset(("stage", "from", "to")), values)

    def clean(self) -> None:
        """A won or lost stage has a fixed probability; a stage with deals in it keeps its key and outcome."""
        super().clean()
        if self.is_won and self.is_lost:
            raise ValidationError({"is_lost": "A stage is won or lost, not both."}, code="won_and_lost")
        certain = CERTAIN.get(self.outcome, self.probability)
        if self.probability != certain:
            message = f"A {self.outcome} stage has a probability of {certain}."
            raise ValidationError({"probability": message}, code="certain")
        before = Stage.objects.filter(pk=self.pk).first() if self.pk else None
        if before is not None:
            self._check_change(before)

    def _check_change(self, before: "Stage") -> None:
        changed = [name for name in FIXED if getattr(before, name) != getattr(self, name)]
        if changed and before.is_in_use():
            message = "Opportunities are in this stage; make another one and move them."
            raise ValidationError(dict.fromkeys(changed, message), code="in_use")
        meaning = set(changed) - {"key"}
        if meaning and before.is_last_of_its_kind():
            message = f"This is the last {before.outcome} stage of {before.pipeline}."
            raise ValidationError(dict.fromkeys(meaning, message), code="last_of_its_kind")

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises ConflictError for a stage with deals in it, and for the last open, won or lost one."""
        if self.is_in_use():
            raise ConflictError("Opportunities are in this stage; move them first (move_to=…).")
        if self.is_last_of_its_kind():
            raise ConflictError(f"This is the last {self.outcome} stage of {self.pipeline}.")
        return super().delete(*args, **kwargs)

    def is_in_use(self) -> bool:
        """Whether there are deals in this stage."""
        return Opportunity.objects.filter(pipeline=self.pipeline_id, stage=self.key).exists()

    def is_last_of_its_kind(self) -> bool:
        """Whether its pipeline has no other open (or won, or lost) stage."""
        alike = Stage.objects.filter(pipeline=self.pipeline_id, is_won=self.is_won, is_lost=self.is_lost)
        return not alike.exclude(pk=self.pk).exists()


# Deals bear the name of their reason, so they are renamed with it.
_RENAME_REASON = """
UPDATE opportunities_opportunity SET lost_reason = NEW.name
 WHERE lost_reason = OLD.name AND (NEW.pipeline_id IS NULL OR pipeline_id = NEW.pipeline_id);
RETURN NULL;
"""


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
            pgtrigger.Trigger(
                name="rename_reason",
                level=pgtrigger.Row,
                when=pgtrigger.After,
                operation=pgtrigger.UpdateOf("name"),
                condition=pgtrigger.AnyChange("name"),
                func=_RENAME_REASON,
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises ConflictError for a reason that deals were lost for."""
        deals = Opportunity.objects.filter(lost_reason=self.name)
        if (deals.filter(pipeline=self.pipeline_id) if self.pipeline_id else deals).exists():
            raise ConflictError("Deals were lost for this reason; make it inactive instead.")
        return super().delete(*args, **kwargs)


class ForecastCategory(models.TextChoices):
    PIPELINE = "pipeline"
    BEST_CASE = "best_case"
    COMMIT = "commit"
    OMITTED = "omitted"
    CLOSED = "closed"  # of a won deal; a lost one is omitted


class OpportunityStatus(models.TextChoices):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


# The stage decides about all of these, whoever writes the row.
FOLLOWING = (
    "stage", "pipeline_id", "probability", "status", "actual_close_date", "forecast_category", "lost_reason",
)  # fmt: skip
# Written by the system: they leave a deal's version as it is.
DERIVED = ("stage_changed_at", "win_score", "win_probability", "scored_at")
# A deal is closed on the day that it is where its closer is: their zone, in automation that of whom the deal
# is assigned to. One that comes closed, or that an import closes, was closed when it was expected to be.
_FOLLOW_STAGE = """
SELECT s.probability, s.is_won, s.is_lost INTO st
  FROM opportunities_stage s WHERE s.pipeline_id = NEW.pipeline_id AND s.key = NEW.stage;
IF NOT FOUND THEN RETURN NEW; END IF;
was := CASE WHEN TG_OP = 'UPDATE' THEN OLD.status ELSE '' END;
NEW.status := CASE WHEN st.is_won THEN 'won' WHEN st.is_lost THEN 'lost' ELSE 'open' END;
IF TG_OP = 'INSERT' THEN
    NEW.stage_changed_at := coalesce(NEW.stage_changed_at, clock_timestamp());
ELSE
    IF (NEW.pipeline_id, NEW.stage) IS DISTINCT FROM (OLD.pipeline_id, OLD.stage) THEN
        NEW.stage_changed_at := clock_timestamp();
        IF NEW.probability IS NOT DISTINCT FROM OLD.probability THEN
            NEW.probability := st.probability;
        END IF;
    END IF;
    IF was <> NEW.status AND was <> 'open' AND NEW.forecast_category = OLD.forecast_category THEN
        NEW.forecast_category := 'pipeline';
    END IF;
    IF was = 'lost' AND NEW.status <> 'lost' THEN NEW.lost_reason := ''; END IF;
END IF;
IF NEW.status = 'open' THEN
    NEW.probability := coalesce(NEW.probability, st.probability);
    NEW.actual_close_date := NULL;
    IF NEW.forecast_category = 'closed' THEN NEW.forecast_category := 'pipeline'; END IF;
    RETURN NEW;
END IF;
NEW.probability := CASE WHEN st.is_won THEN 100 ELSE 0 END;
NEW.forecast_category := CASE WHEN st.is_won AND NEW.forecast_category <> 'omitted' THEN 'closed'
                         ELSE 'omitted' END;
IF NEW.actual_close_date IS NULL AND was IN ('won', 'lost') THEN
    NEW.actual_close_date := OLD.actual_close_date;
END IF;
IF NEW.actual_close_date IS NULL THEN
    ctx := coalesce(nullif(current_setting('crm.context', true), ''), '{}')::jsonb;
    BEGIN
        today := timezone(coalesce(
            ctx->>'time_zone',
            (SELECT time_zone FROM core_user WHERE id = NEW.assigned_to_id),
            ctx->>'schedule_zone',
            (SELECT time_zone FROM core_user WHERE id = NEW.owner_id),
            ctx->>'site_zone', 'UTC'
        ), clock_timestamp())::date;
    EXCEPTION WHEN invalid_parameter_value THEN
        today := current_date;  -- a zone that went out of the database
    END;
    NEW.actual_close_date := CASE
        WHEN TG_OP = 'INSERT' OR ctx->>'source' = 'import' THEN least(NEW.expected_close_date, today)
        ELSE today END;
END IF;
RETURN NEW;
"""

# A deal has a primary contact as long as it has any: without the present one the next who was added is it.
_NEXT_CONTACT = """
DELETE FROM opportunities_opportunitycontact
 WHERE opportunity_id = NEW.id AND contact_id = OLD.contact_id;
NEW.contact_id := (
    SELECT o.contact_id FROM opportunities_opportunitycontact o JOIN contacts_contact c ON c.id = o.contact_id
     WHERE o.opportunity_id = NEW.id ORDER BY c.archived_at IS NOT NULL, o.id LIMIT 1
);
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
            models.Index(Fold("name"), "id", name="opportunity_name"),
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
            pgtrigger.Trigger(
                name="follow_stage",
                level=pgtrigger.Row,
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf(*FOLLOWING),
                declare=[("st", "record"), ("was", "text"), ("ctx", "jsonb"), ("today", "date")],
                func=_FOLLOW_STAGE,
            ),
            pgtrigger.Trigger(
                name="next_contact",
                level=pgtrigger.Row,
                when=pgtrigger.Before,
                operation=pgtrigger.UpdateOf("contact_id"),
                condition=pgtrigger.Condition("OLD.contact_id IS NOT NULL AND NEW.contact_id IS NULL"),
                func=_NEXT_CONTACT,
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ContactRole(models.TextChoices):
    """What a person is to a deal."""

    DECISION_MAKER = "decision_maker"
    ECONOMIC_BUYER = "economic_buyer"
    EXECUTIVE_SPONSOR = "executive_sponsor"
    CHAMPION = "champion"
    INFLUENCER = "influencer"
    EVALUATOR = "evaluator"
    END_USER = "end_user"
    BLOCKER = "blocker"
    OTHER = "other"


class OpportunityContactPolicy(Policy):
    """Seen by whoever sees both the deal and the contact, changed by whoever may change the deal."""

    def rows(self, user: Any, action: str) -> models.Q:
        asked = Permission.VIEW if action == Permission.VIEW else Permission.CHANGE
        deals, contacts = Opportunity.objects.visible_to(user, asked), Contact.objects.visible_to(user)
        seen = models.Q(models.Exists(deals.filter(pk=models.OuterRef("opportunity")).order_by()))
        return seen & models.Q(models.Exists(contacts.filter(pk=models.OuterRef("contact")).order_by()))


class OpportunityContact(models.Model):
    """A contact of a deal beside the primary one (`Opportunity.contact`), or the role of that one.

    Which contact is the primary one is said by the deal alone, so there is never a second one. The primary
    one has a row here where it was added as one of several, or has a role.
    """

    policy = OpportunityContactPolicy()

    opportunity = models.ForeignKey(Opportunity, models.CASCADE, related_name="deal_contacts")
    contact = models.ForeignKey("contacts.Contact", models.CASCADE, related_name="deal_contacts")
    role = models.CharField(max_length=20, choices=ContactRole.choices, blank=True, default="", db_default="")
    role_text = text(120)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    objects = VisibleManager()

    class Meta:
        ordering = ["id"]
        verbose_name = "contact of a deal"
        verbose_name_plural = "contacts of deals"
        constraints = [
            models.UniqueConstraint(fields=["opportunity", "contact"], name="opportunity_contact_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=("", *ContactRole.values)), name="opportunity_contact_role_known"
            ),
            models.CheckConstraint(
                condition=models.Q(role_text="") | models.Q(role=ContactRole.OTHER),
                name="opportunity_contact_role_text",
            ),
        ]
        triggers = [
            *captured_part("opportunity_contact", "opportunity_id", untracked=("created_at",)),
            pgtrigger.Trigger(
                name="first_is_primary",
                level=pgtrigger.Row,
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("opportunity_id"),
                func=(
                    "UPDATE opportunities_opportunity SET contact_id = NEW.contact_id"
                    " WHERE id = NEW.opportunity_id AND contact_id IS NULL; RETURN NULL;"
                ),
            ),
        ]

    def __str__(self) -> str:
        return (
            f"{self.contact} ({role_in_words(self.role, self.role_text)})" if self.role else str(self.contact)
        )

    @property
    def is_primary(self) -> bool:
        return self.contact_id == self.opportunity.contact_id

    def clean(self) -> None:
        """A role that is none of the known ones has a text, the others have none."""
        super().clean()
        if self.role == ContactRole.OTHER and not self.role_text.strip():
            raise ValidationError({"role_text": "Say which other role it is."}, code="required")
        if self.role != ContactRole.OTHER and self.role_text:
            raise ValidationError({"role_text": "Only of the role other."}, code="invalid")


def role_in_words(role: str, role_text: str) -> str:
    """The role of a contact in a deal; where it is another one its own text. Empty without a role."""
    return role_text or role.replace("_", " ")


class OpportunityScore(RecordScore):
    """Why a deal has its win probability."""

    opportunity_id = models.BigIntegerField(primary_key=True)


class OpportunityPending(PendingRecord):
    """A deal that waits to be scored."""

    opportunity_id = models.BigIntegerField(primary_key=True)
