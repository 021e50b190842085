"""Companies and the people who work there."""

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from contacts.querysets import CompanyQuerySet, ContactQuerySet
from core.entities.reading import title
from core.models.fields import Address, email, prose, text, texts, url
from core.models.folding import Fold, MailDomain, PhoneKeys, address_index, phone_key_indexes
from core.models.money import DEFAULT_CURRENCY, amount_field, rounds_amount
from core.models.record import Record, record_constraints, record_indexes, record_triggers, search_text


class Company(Address, Record):
    """An organisation one sells to; `parent` is the one it belongs to."""

    entity_name = "company"

    name = models.CharField(max_length=200)
    domain = text(253)
    website = url()
    industry = text(100)
    company_size = models.PositiveIntegerField(null=True, blank=True)
    annual_revenue = amount_field(whole_digits=15)
    currency = models.CharField(max_length=3, default=DEFAULT_CURRENCY, db_default=DEFAULT_CURRENCY)
    phone = text(40)
    email = email()
    parent = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="subsidiaries")
    notes = prose()
    search_text = search_text("name", "domain", "email", "city", phones=["phone"])

    objects: ClassVar = models.Manager.from_queryset(CompanyQuerySet)()

    class Meta:
        verbose_name_plural = "companies"
        ordering = ["-id"]
        indexes = [
            *record_indexes("company"),
            models.Index(fields=["domain"], name="company_domain", condition=~models.Q(domain="")),
            models.Index(fields=["email"], name="company_email", condition=~models.Q(email="")),
            models.Index(Fold("name"), "id", name="company_name"),
            *phone_key_indexes("company", "phone"),
            address_index("company_street"),
        ]
        constraints = record_constraints("company")
        triggers = [*record_triggers("company"), rounds_amount("annual_revenue")]

    def __str__(self) -> str:
        return title(self)


def mail_domain_index(name: str) -> models.Index:
    """The index that finds people without a company by the domain of their e-mail address."""
    return models.Index(
        MailDomain("email"),
        "id",
        name=name,
        condition=~models.Q(email="") & models.Q(company=None, archived_at=None),
    )


class Contact(Address, Record):
    """A person. `email` and `phone` are the primary ones, further ones stand in lists."""

    entity_name = "contact"

    first_name = text(100)
    last_name = text(100)
    email = email()
    additional_emails = texts(models.EmailField(max_length=254))
    phone = text(40)
    mobile = text(40)
    additional_phones = texts(models.CharField(max_length=40))
    job_title = text(150)
    department = text(100)
    company = models.ForeignKey(Company, models.SET_NULL, null=True, blank=True, related_name="contacts")
    # As the person or a file gave it; `company` is the record it stands for, where there is one.
    company_name = text(200)
    website = url()
    lead_source = text(40)
    last_contacted_at = models.DateTimeField(null=True, blank=True)
    do_not_contact = models.BooleanField(default=False, db_default=False)
    notes = prose()
    search_text = search_text(
        "first_name",
        "last_name",
        "email",
        "company_name",
        "job_title",
        "city",
        lists=["additional_emails"],
        phones=["phone", "mobile", "additional_phones"],
    )

    objects: ClassVar = models.Manager.from_queryset(ContactQuerySet)()

    class Meta:
        ordering = ["-id"]
        indexes = [
            *record_indexes("contact"),
            models.Index(Fold("last_name"), "id", name="contact_last_name"),
            models.Index(fields=["company", "-id"], name="contact_company"),
            models.Index(fields=["email"], name="contact_email", condition=~models.Q(email="")),
            mail_domain_index("contact_mail_domain"),
            address_index("contact_street"),
            models.Index(fields=["phone"], name="contact_phone", condition=~models.Q(phone="")),
            models.Index(fields=["mobile"], name="contact_mobile", condition=~models.Q(mobile="")),
            GinIndex(fields=["additional_emails"], name="contact_emails"),
            GinIndex(fields=["additional_phones"], name="contact_phones"),
            *phone_key_indexes("contact", "phone", "mobile"),
            GinIndex(PhoneKeys("additional_phones"), name="contact_phones_key"),
        ]
        constraints = record_constraints("contact")
        triggers = record_triggers("contact")

    def __str__(self) -> str:
        return title(self)


class CompanySuggestion(models.Model):
    """A company that a person may belong to, for it has the domain of their e-mail address; `dismissed_at`
    where somebody says that they do not. The person is a record of an app above."""

    entity = models.CharField(max_length=40)
    object_id = models.BigIntegerField()
    company = models.ForeignKey(Company, models.CASCADE, related_name="+")
    dismissed_at = models.DateTimeField(null=True)
    dismissed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["entity", "object_id", "company"], name="company_suggestion_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"company {self.company_id} for {self.entity} {self.object_id}"


class CompanyCheck(models.Model):
    """People whose company is to be looked for: one (`record_id`), those with the domain of a company
    (`company_id`), or else all, from `after_id` on. No foreign keys: what is gone is passed over."""

    entity = models.CharField(max_length=40)
    record_id = models.BigIntegerField(default=0, db_default=0)
    company_id = models.BigIntegerField(default=0, db_default=0)
    after_id = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        indexes = [
            models.Index(fields=["entity", "id"], name="company_check_one", condition=~models.Q(record_id=0)),
            models.Index(fields=["entity", "id"], name="company_check_many", condition=models.Q(record_id=0)),
        ]

    def __str__(self) -> str:
        return f"{self.entity} {self.record_id or self.company_id}"
