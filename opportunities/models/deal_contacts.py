"""The people of a deal, and what each is to it."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from contacts.models import Contact
from core.access import Permission, Policy, VisibleManager
from core.models.capture import captured_part
from core.models.fields import text
from opportunities import triggers
from opportunities.models.deals import Opportunity


class ContactRole(models.TextChoices):
    """What a person is to a deal."""

    DECISION_MAKER = "decision_maker", gettext_lazy("Decision Maker")
    ECONOMIC_BUYER = "economic_buyer", gettext_lazy("Economic Buyer")
    EXECUTIVE_SPONSOR = "executive_sponsor", gettext_lazy("Executive Sponsor")
    CHAMPION = "champion", gettext_lazy("Champion")
    INFLUENCER = "influencer", gettext_lazy("Influencer")
    EVALUATOR = "evaluator", gettext_lazy("Evaluator")
    END_USER = "end_user", gettext_lazy("End User")
    BLOCKER = "blocker", gettext_lazy("Blocker")
    OTHER = "other", gettext_lazy("Other")


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
            *captured_part(
                "opportunity_contact",
                "opportunity_id",
                model="opportunities.OpportunityContact",
                shows=("opportunities", "contacts"),
                untracked=("created_at",),
            ),
            triggers.FIRST_IS_PRIMARY,
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
            raise ValidationError({"role_text": _("Say which other role it is.")}, code="required")
        if self.role != ContactRole.OTHER and self.role_text:
            raise ValidationError({"role_text": _("Only of the role other.")}, code="invalid")


def role_in_words(role: str, role_text: str) -> str:
    """The role of a contact in a deal; where it is another one its own text. Empty without a role."""
    return role_text or role.replace("_", " ")
