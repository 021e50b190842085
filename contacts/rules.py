"""What must hold between the fields of a company or contact, whoever writes it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from contacts.company_sql import is_above
from contacts.models import Company
from core.changes import current_audit_context
from core.entities.entity import NeedsAny
from core.entities.field_types import Text, refuse
from core.errors import InvalidError

Values = dict[str, Any]


somebody = NeedsAny(
    ("first_name", "last_name", "email", "phone", "mobile", "company_name", "company"),
    gettext_lazy("A contact needs a first name, last name, e-mail address, phone number or company."),
)


def domain_of(text: str) -> str:
    """The bare domain in a web address, e-mail address or host name: lower case, without `www.`."""
    text = text.strip().lower().rpartition("@")[2]
    try:
        host = urlsplit(text if "://" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.").strip(".")


class Domain(Text):
    """A bare domain, so that every way of writing it is one value."""

    def __init__(self, max_length: int | None = 253, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        domain = domain_of(text)
        if text and "." not in domain:
            raise refuse("invalid", _("Enter a domain such as example.com."))
        return domain


def company_domain(values: Values, before: Mapping[str, Any] | None) -> None:
    """`domain` is taken from the website where none is given."""
    if values.get("website") and not values.get("domain") and not (before and before["domain"]):
        values["domain"] = domain_of(values["website"])


def no_parent_below_itself(values: Values, before: Mapping[str, Any] | None) -> None:
    parent = values.get("parent_id")
    if before is None or parent is None or parent == before["parent_id"]:
        return
    if is_above(before["id"], parent):
        raise InvalidError.of("parent", _("A company cannot be below itself."), "cycle")


def company_named(values: Values, before: Mapping[str, Any] | None) -> None:
    """A person linked to a company bears its name where none was given."""
    linked = values.get("company_id")
    if linked and not values.get("company_name") and (before is None or before["company_id"] != linked):
        values["company_name"] = _name_of(linked)


def _name_of(company: int) -> str:
    """Asked for once where many contacts get the same company."""
    cache = current_audit_context().cache
    if ("company name", company) not in cache:
        name = Company.objects.values_list("name", flat=True).get(pk=company)
        cache["company name", company] = name
    return cache["company name", company]


def one_primary_address(values: Values, before: Mapping[str, Any] | None) -> None:
    """Further addresses do not repeat the primary one; without a primary the first of them becomes it."""
    for primary, further in (("email", "additional_emails"), ("phone", "additional_phones")):
        _settle(values, before or {primary: "", further: []}, primary, further)


def _settle(values: Values, before: Mapping[str, Any], primary: str, further: str) -> None:
    if primary not in values and further not in values:
        return
    first = values.get(primary, before[primary])
    others = [item for item in values.get(further, before[further]) if item != first]
    if not first and others:
        first, *others = others
    values[primary], values[further] = first, others
