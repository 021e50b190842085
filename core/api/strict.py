"""Bodies in which nothing is passed over."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ErrorDetail, ValidationError


class StrictFieldsMixin:
    """A serializer that refuses unknown fields, and read-only ones on creation.

    In a change read-only ones are ignored, so that a record can be sent back as it was read.
    """

    fields: Any
    instance: Any
    refuses_unknown = True

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise ValidationError(
                {"non_field_errors": [ErrorDetail(_("Expected an object."), "not_an_object")]}
            )
        writable = sorted(name for name, field in self.fields.items() if not field.read_only)
        wrong: dict[str, list[ErrorDetail]] = {}
        for name in data:
            if name not in self.fields:
                message = _("Unknown field. Known: %(names)s.") % {"names": ", ".join(writable)}
                wrong[str(name)[:120]] = [ErrorDetail(message, "unknown_field")]
            elif self.fields[name].read_only and self.instance is None:
                wrong[name] = [ErrorDetail(_("This field is read-only."), "read_only")]
        try:
            values = super().to_internal_value(data)  # type: ignore[misc]
        except ValidationError as error:
            found: Any = error.detail
            raise ValidationError({**wrong, **found}) from error
        if wrong:
            raise ValidationError(wrong)
        return values
