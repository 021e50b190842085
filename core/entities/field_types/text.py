"""Text, and text with a form: e-mail addresses, phone numbers, web addresses."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import urlsplit

import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext
from rest_framework import serializers

from core.conf import conf
from core.entities.field_types.base import TEXTUAL, FieldType, refuse, trimmed
from core.entities.field_types.dialling import is_plain_e164
from core.models.folding import nfc

_SURROGATE = re.compile("[\ud800-\udfff]")
_ABROAD = re.compile(r"^00\s*(?=[1-9])")
_E164 = re.compile(r"\+\d{7,15}(;ext=\d{1,11})?\Z", re.ASCII)
_POSSIBLE = phonenumbers.ValidationResult.IS_POSSIBLE


def checked_text(raw: Any) -> str:
    """A text that PostgreSQL takes, its letters composed (NFC). Raises ValueRefusedError."""
    if not isinstance(raw, str):
        raise refuse("invalid", gettext("Not a valid string."))
    if "\x00" in raw:
        raise refuse("null_characters_not_allowed", gettext("Null characters are not allowed."))
    if raw.isascii():
        return raw
    if _SURROGATE.search(raw):
        raise refuse("invalid", gettext("Lone surrogates are not text."))
    return nfc(raw)


def checked_texts(raw: Any) -> Any:
    """Any JSON value, its texts as `checked_text` has them, names too. Raises ValueRefusedError."""
    if isinstance(raw, str):
        return checked_text(raw)
    if isinstance(raw, Mapping):
        return {checked_texts(name): checked_texts(inner) for name, inner in raw.items()}
    return [checked_texts(inner) for inner in raw] if isinstance(raw, list) else raw


class Text(FieldType, serializers.CharField):
    type_name: ClassVar[str] = "text"
    operators: ClassVar[tuple[str, ...]] = TEXTUAL
    empty_value: ClassVar[Any] = ""

    def to_internal_value(self, data: Any) -> str:
        text = checked_text(data)
        text = trimmed(text) if self.trim_whitespace else text
        if self.max_length is not None and len(text) > self.max_length:
            raise refuse(
                "max_length",
                gettext("Ensure this field has no more than %(max_length)s characters.")
                % {"max_length": self.max_length},
            )
        return text

    def json_schema(self) -> dict[str, Any]:
        limit = {"maxLength": self.max_length} if self.max_length else {}
        return {"type": "string", **limit}


# What Django's validator takes in any case: most addresses, at a tenth of its cost.
_PLAIN_EMAIL = re.compile(r"[a-z0-9]+([._+-][a-z0-9]+)*@([a-z0-9]{1,60}\.)+[a-z]{2,60}\Z", re.ASCII)


class Email(Text, serializers.EmailField):
    """An address, stored in lower case: matching is case-blind everywhere."""

    type_name: ClassVar[str] = "email"

    def __init__(self, max_length: int | None = 254, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data).lower()
        if text and not _PLAIN_EMAIL.match(text):
            try:
                validate_email(text)
            except ValidationError:
                raise refuse("invalid", gettext("Enter a valid e-mail address.")) from None
        return text

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "email", "maxLength": self.max_length}


class Phone(Text):
    """A number in E.164 (`+14155550123`), an extension kept behind `;ext=` (RFC 3966).

    A number whose country is not known, or that is none in its country, is kept as it is written: to guess
    would make it somebody else's. `region` is where numbers without a country code are from (ISO 3166-1
    alpha-2); the installation's setting if none.
    """

    type_name: ClassVar[str] = "phone"
    is_regional = True

    def __init__(self, region: str = "", max_length: int | None = 40, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)
        self.region = region

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data.removeprefix("tel:") if isinstance(data, str) else data)
        if not text or is_plain_e164(text):
            return text
        if not any(character.isdigit() for character in text):
            raise refuse(
                "invalid", gettext("Enter a phone number, best with its country code: +14155550123.")
            )
        return self._in_e164(text) or text

    def in_region(self, region: str) -> FieldType:
        return _in_region(self, region) if region else self

    def warning(self, value: Any) -> str | None:
        if not value or is_plain_e164(value) or (_E164.match(value) and self._in_e164(value) == value):
            return None
        return gettext(
            "Kept as it is written, for its country is not known or has no such number: %(value)s"
        ) % {"value": value}

    def _in_e164(self, text: str) -> str | None:
        """The number in E.164; None where it is not clear which one it is."""
        # 00 is how most of the world dials abroad; phonenumbers knows it only region by region.
        number, _, extension = _ABROAD.sub("+", text).partition(";ext=")
        is_international = number.startswith(("+", "(+", "\uff0b"))
        region = None if is_international else self.region or conf.DEFAULT_PHONE_REGION or None
        if not is_international and region is None:
            return None
        try:
            parsed = phonenumbers.parse(f"{number} ext. {extension}" if extension else number, region)
        except phonenumbers.NumberParseException:
            return None
        # That a number has a possible length in its region proves nothing where no country code says so.
        certain = is_international or phonenumbers.is_valid_number(parsed)
        if not certain or phonenumbers.is_possible_number_with_reason(parsed) != _POSSIBLE:
            return None
        e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        return f"{e164};ext={parsed.extension}" if parsed.extension else e164


@lru_cache(maxsize=2_000)
def _in_region(field_type: Phone, region: str) -> Phone:
    return field_type.copy(region=region)


class Url(Text):
    """An http(s) address; without a scheme, https is meant."""

    type_name: ClassVar[str] = "url"

    def __init__(self, max_length: int | None = 500, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not text:
            return ""
        address = text if "://" in text else f"https://{text}"
        if not self._is_web_address(address):
            raise refuse("invalid", gettext("Enter a web address such as https://example.com."))
        return super().to_internal_value(address)

    @staticmethod
    def _is_web_address(address: str) -> bool:
        try:
            parts = urlsplit(address)
            host = parts.hostname or ""
            _ = parts.port
        except ValueError:
            return False
        clean = not re.search(r"[\s\x00-\x1f<>\"]", address)
        return clean and parts.scheme in ("http", "https") and "." in host.strip(".") and not parts.username

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": self.max_length}
