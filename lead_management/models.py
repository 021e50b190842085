"""Leads: someone who may become a customer, before they are a contact."""

from typing import ClassVar

import pgtrigger
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy

from contacts.models import mail_domain_index
from core.entities.reading import title
from core.models.fields import Address, choice, email, prose, text, url
from core.models.folding import Fold, address_index, phone_key_indexes
from core.models.money import DEFAULT_CURRENCY, amount_field, rounds_amount
from core.models.record import (
    Record,
    ordered_index,
    record_constraints,
    record_indexes,
    record_triggers,
    search_text,
)
from lead_management.querysets import COUNTED_BY, LeadQuerySet

# Written by the system from other tables or by scoring: they leave a lead's version as it is.
DERIVED = ("lead_score", "conversion_probability", "scored_at", "engagement_count")


class LeadStatus(models.TextChoices):
    NEW = "new", gettext_lazy("New")
    CONTACTED = "contacted", gettext_lazy("Contacted")
    NURTURING = "nurturing", gettext_lazy("Nurturing")
    QUALIFIED = "qualified", gettext_lazy("Qualified")
    PROPOSAL = "proposal", gettext_lazy("Proposal")
    CONVERTED = "converted", gettext_lazy("Converted")
    UNQUALIFIED = "unqualified", gettext_lazy("Unqualified")
    LOST = "lost", gettext_lazy("Lost")


class LeadSource(models.TextChoices):
    WEBSITE = "website", gettext_lazy("Website")
    REFERRAL = "referral", gettext_lazy("Referral")
    SOCIAL_MEDIA = "social_media", gettext_lazy("Social Media")
    EMAIL_CAMPAIGN = "email_campaign", gettext_lazy("Email Campaign")
    COLD_CALL = "cold_call", gettext_lazy("Cold Call")
    EVENT = "event", gettext_lazy("Event")
    ADVERTISEMENT = "advertisement", gettext_lazy("Advertisement")
    PARTNER = "partner", gettext_lazy("Partner")
    OTHER = "other", gettext_lazy("Other")


class Priority(models.TextChoices):
    LOW = "low", gettext_lazy("Low")
    MEDIUM = "medium", gettext_lazy("Medium")
    HIGH = "high", gettext_lazy("High")
    URGENT = "urgent", gettext_lazy("Urgent")


def converted_into(model: str) -> models.ForeignKey:
    """What a lead was converted into; most leads were not, so the index holds only those that were."""
    return models.ForeignKey(
        model, models.SET_NULL, null=True, editable=False, related_name="leads", db_index=False
    )


class Lead(Address, Record):
    entity_name = "lead"

    first_name = text(100)
    last_name = text(100)
    email = email()
    phone = text(40)
    mobile = text(40)
    # The one that the person works for, where it is known here; `company_name` is as they gave it.
    company = models.ForeignKey(
        "contacts.Company", models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    company_name = text(200)
    company_size = models.PositiveIntegerField(null=True, blank=True)
    industry = text(100)
    job_title = text(150)
    website = url()
    lead_source = choice(LeadSource.choices, LeadSource.OTHER)
    status = choice(LeadStatus.choices, LeadStatus.NEW)
    priority = choice(Priority.choices, Priority.MEDIUM)
    lost_reason = text(300)
    estimated_value = amount_field()
    currency = models.CharField(max_length=3, default=DEFAULT_CURRENCY, db_default=DEFAULT_CURRENCY)
    last_contacted_at = models.DateTimeField(null=True, blank=True)
    next_follow_up_at = models.DateTimeField(null=True, blank=True)
    call_attempts = models.PositiveIntegerField(default=0, db_default=0)
    engagement_count = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    notes = prose()
    do_not_contact = models.BooleanField(default=False, db_default=False)
    lead_score = models.PositiveSmallIntegerField(
        default=50, db_default=50, editable=False, validators=[MaxValueValidator(100)]
    )
    conversion_probability = models.FloatField(
        null=True, editable=False, validators=[MinValueValidator(0), MaxValueValidator(1)]
    )
    scored_at = models.DateTimeField(null=True, editable=False)
    converted_at = models.DateTimeField(null=True, editable=False)
    converted_contact = converted_into("contacts.Contact")
    converted_company = converted_into("contacts.Company")
    converted_opportunity = converted_into("opportunities.Opportunity")
    search_text = search_text(
        "first_name", "last_name", "email", "company_name", "job_title", "city", phones=["phone", "mobile"]
    )

    objects: ClassVar = models.Manager.from_queryset(LeadQuerySet)()

    class Meta:
        ordering = ["-id"]
        indexes = [
            *record_indexes("lead"),
            models.Index(fields=["status", "-id"], name="lead_status"),
            models.Index(fields=["-lead_score", "-id"], name="lead_score_order"),
            models.Index(Fold("last_name"), "id", name="lead_last_name"),
            ordered_index("lead_estimated_value", "estimated_value"),
            *(
                models.Index(
                    fields=[name], name=f"lead_{name}", condition=models.Q(**{f"{name}__isnull": False})
                )
                for name in ("company", "converted_contact", "converted_company", "converted_opportunity")
            ),
            models.Index(fields=["email"], name="lead_email", condition=~models.Q(email="")),
            mail_domain_index("lead_mail_domain"),
            address_index("lead_street"),
            models.Index(fields=["phone"], name="lead_phone", condition=~models.Q(phone="")),
            models.Index(fields=["mobile"], name="lead_mobile", condition=~models.Q(mobile="")),
            *phone_key_indexes("lead", "phone", "mobile"),
            models.Index(
                fields=["next_follow_up_at"],
                name="lead_follow_up",
                condition=models.Q(next_follow_up_at__isnull=False, archived_at=None),
            ),
        ]
        constraints = [
            *record_constraints("lead"),
            models.CheckConstraint(condition=models.Q(lead_score__lte=100), name="lead_score_up_to_100"),
            models.CheckConstraint(
                condition=models.Q(status__in=LeadStatus.values), name="lead_status_known"
            ),
        ]
        triggers = [
            *record_triggers("lead", derived=DERIVED, untracked=("scored_at",), counted_by=COUNTED_BY),
            rounds_amount("estimated_value"),
            pgtrigger.Trigger(
                name="clear_lost_reason",
                level=pgtrigger.Row,
                when=pgtrigger.Before,
                operation=pgtrigger.UpdateOf("status"),
                condition=pgtrigger.Condition("OLD.status = 'lost' AND NEW.status <> 'lost'"),
                func="NEW.lost_reason := ''; RETURN NEW;",
            ),
        ]

    def __str__(self) -> str:
        return title(self)
