"""The options of an import: what a request, a saved mapping, a job or a command may set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import orjson
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.accounts.models import time_zones
from core.api.schema.parts import ANYTHING, TEXT
from core.api.strict import StrictFieldsMixin
from core.entities.field_types import Boolean, Choice, Integer, refuse
from core.entities.field_types.text import checked_text, checked_texts
from core.entities.regions import region_of
from core.errors import FieldIssue, InvalidError
from core.transfer import formats
from core.transfer.reading import ReadingOptions, dialect, encoding

DUPLICATES = ("skip", "update", "create", "error")
ON_BAD_VALUE = ("warn", "error")
AUTOMATION = ("run", "suppress")
# Headers of a mapping, or words of a table of values.
MAX_WORDS = 2_000
MAX_TEXT = 200


@dataclass(frozen=True)
class Options:
    """The settings of one import; None is "find out". See docs/import-export.md for each."""

    mapping: dict[str, str] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header_row: int | None = None
    skip_rows: int = 0
    sheet: str | None = None
    duplicates: str = "skip"
    match_on: tuple[str, ...] | None = None
    skip_errors: bool = True
    dry_run: bool = False
    clear_blank: bool = False
    create_missing: bool = False
    automation: str = "run"
    date_format: str | None = None
    decimal_separator: str | None = None
    timezone: str | None = None
    phone_region: str | None = None
    on_bad_value: str = "warn"
    default_values: dict[str, Any] = field(default_factory=dict)
    value_mapping: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def reading(self) -> ReadingOptions:
        return ReadingOptions(self.encoding, self.delimiter, self.header_row, self.skip_rows, self.sheet)

    def as_json(self) -> dict[str, Any]:
        """As jobs and saved mappings store it; `parse` reads it back."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {
            "match_on": list(self.match_on) if self.match_on is not None else None
        }


def parse(given: Mapping[str, Any], base: Options | None = None) -> Options:
    """Options from form fields or JSON, over `base`. Raises InvalidError naming every one that is wrong."""
    serializer = ImportOptionsSerializer(data=given)
    if not serializer.is_valid():
        raise InvalidError(
            [
                FieldIssue("" if name == "non_field_errors" else name, error.code, str(error))
                for name, errors in serializer.errors.items()
                for error in errors
            ]
        )
    return serializer.options(base)


# ---- Fields ----


class OptionText(serializers.CharField):
    """A short text, blanks and all; `check` returns what is stored for it, or raises InvalidError."""

    def __init__(self, check: Callable[[str], str] | None = None, **options: Any) -> None:
        super().__init__(max_length=MAX_TEXT, trim_whitespace=False, **options)
        self.check = check

    def to_internal_value(self, data: Any) -> str:
        text = checked_text(data)
        if len(text) > MAX_TEXT:
            raise refuse(
                "max_length",
                _("Ensure this field has no more than %(max_text)s characters.") % {"max_text": MAX_TEXT},
            )
        try:
            return self.check(text) if self.check else text
        except InvalidError as error:
            [issue] = error.issues
            raise refuse(issue.code, issue.message) from error


def _date_format(text: str) -> str:
    formats.check_format(text)
    return text


def _time_zone(text: str) -> str:
    if text not in time_zones():
        raise refuse("invalid", _("Expected an IANA time zone such as Europe/Berlin."))
    return text


def _region(text: str) -> str:
    region = region_of(text)
    if not region:
        raise refuse("invalid", _("Expected a country such as DE."))
    return region


@extend_schema_field({"oneOf": [ANYTHING, TEXT], "description": "An object; in a form as JSON."})
class ObjectField(serializers.Field):
    """An object, or its JSON in a text."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, str | bytes):
            try:
                data = orjson.loads(data)
            except orjson.JSONDecodeError as error:
                raise refuse("invalid_json", _("Not JSON: %(error)s.") % {"error": error}) from None
        if not isinstance(data, Mapping):
            raise refuse("not_an_object", _("Expected a JSON object."))
        if len(data) > MAX_WORDS:
            raise refuse("max_length", _("At most %(max_words)s keys.") % {"max_words": MAX_WORDS})
        return checked_texts({str(key): value for key, value in data.items()})

    def to_representation(self, value: Any) -> Any:
        return value


class MappingField(ObjectField):
    """Headers of the file, each with the field that its column goes into; null and "" leave it out."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        found = super().to_internal_value(data)
        if not all(value is None or isinstance(value, str) for value in found.values()):
            raise refuse("invalid", _("Expected field names as text."))
        return {header: name or "" for header, name in found.items()}


class ValueMappingField(ObjectField):
    """For a field, words of the file with the value that each stands for."""

    def to_internal_value(self, data: Any) -> dict[str, dict[str, str]]:
        read = super().to_internal_value
        tables = {name: read(table) for name, table in read(data).items()}
        if not all(
            isinstance(ours, str | int | float) for table in tables.values() for ours in table.values()
        ):
            raise refuse("invalid", _("Expected a text for each of their words."))
        return {name: {word: _text(ours) for word, ours in table.items()} for name, table in tables.items()}


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@extend_schema_field({"oneOf": [TEXT, {"type": "array", "items": TEXT}]})
class NamesField(serializers.Field):
    """Names of fields, as a list or separated by commas."""

    def to_internal_value(self, data: Any) -> tuple[str, ...]:
        parts = checked_texts(data.split(",") if isinstance(data, str) else data)
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            raise refuse("invalid", _("Expected names of fields, separated by commas."))
        return tuple(part.strip() for part in parts if part.strip())

    def to_representation(self, value: Any) -> Any:
        return value


class ImportOptionsSerializer(StrictFieldsMixin, serializers.Serializer):
    """The options of an import. None, "" and null leave one as it is by default."""

    mapping = MappingField(required=False, help_text='Column → field, such as {"Mail": "email"}.')
    update_existing = Boolean(required=False, help_text="The same as duplicates=update.")
    skip_errors = Boolean(required=False, help_text="true by default; false: all rows or none.")
    duplicates = Choice(choices=DUPLICATES, required=False, help_text="skip by default.")
    match_on = NamesField(required=False, help_text="Fields that tell records apart.")
    dry_run = Boolean(required=False, help_text="The same figures and faults, and nothing written.")
    clear_blank = Boolean(required=False, help_text="A blank cell empties the stored field.")
    create_missing = Boolean(required=False, help_text="Create companies that are named and do not exist.")
    automation = Choice(choices=AUTOMATION, required=False, help_text="run by default.")
    encoding = OptionText(encoding.check, required=False)
    delimiter = OptionText(dialect.check, required=False)
    header_row = Integer(
        min_value=0,
        max_value=1_000,
        required=False,
        help_text="0: the file has no headers; columns are Column 1, Column 2 …",
    )
    skip_rows = Integer(min_value=0, max_value=1_000, required=False)
    sheet = OptionText(required=False)
    date_format = OptionText(_date_format, required=False, help_text="DMY, MDY, YMD or such as DD/MM/YYYY.")
    decimal_separator = OptionText(formats.check_mark, required=False, help_text="A point or a comma.")
    timezone = OptionText(_time_zone, required=False, help_text="IANA zone of times without an offset.")
    phone_region = OptionText(
        _region, required=False, help_text="Country of phone numbers without a country code."
    )
    on_bad_value = Choice(choices=ON_BAD_VALUE, required=False, help_text="warn by default.")
    default_values = ObjectField(required=False, help_text="Field → value for new records.")
    value_mapping = ValueMappingField(
        required=False, help_text='Field → {"theirs": "ours", "*": "anything else"}.'
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping):
            data = {
                name: value
                for name, value in data.items()
                if name not in self.fields or (value is not None and value != "")
            }
        return super().to_internal_value(data)

    def options(self, base: Options | None = None) -> Options:
        """The validated options, over those of `base`."""
        known = {f.name for f in fields(Options)}
        found = {name: value for name, value in self.validated_data.items() if name in known}
        if self.validated_data.get("update_existing"):
            found.setdefault("duplicates", "update")
        return replace(base or Options(), **found)
