"""Forms of records: checked by the same kinds, references and rules as a request to the API."""

from typing import Any

from django import forms
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from unfold.widgets import UnfoldAdminTextareaWidget

from core.admin.captured import CapturedForm
from core.admin.custom_inputs import PREFIX, entered
from core.entities import entity_of
from core.entities.cleaning import clean
from core.entities.writing import values_of
from core.errors import DomainError

SEEN = "seen_version"
CHANGED_MEANWHILE = gettext_noop(
    "Somebody changed this record since you opened it. Open it again to see the change."
)


class LinesField(forms.Field):
    """A list of texts, one to a line: commas may be part of them."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 3})

    def __init__(self, **options: Any) -> None:
        # What a field of an array hands on and a field of text does not know.
        for name in ("base_field", "max_length"):
            options.pop(name, None)
        super().__init__(**{"help_text": _("One to a line.")} | options)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> list[str]:
        lines = (value or "").split("\n") if not isinstance(value, list) else value
        return [line.strip() for line in lines if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != self.to_python(data)


class RecordForm(CapturedForm):
    """After `is_valid`, `values` are the clean values by column that `core.entities.writing` stores."""

    seen_version = forms.IntegerField(required=False, widget=forms.HiddenInput, label="")
    values: dict[str, Any]

    class Meta:
        field_classes: dict[str, Any] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entity = entity_of(self._meta.model)
        self.fields[SEEN].initial = self.instance.version if self.instance.pk else None
        for name, field in self.fields.items():
            column = self.entity.by_name.get(name)
            if column is not None and not column.required:
                field.required = False

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        seen = cleaned.get(SEEN)
        if self.instance.pk and seen is not None and seen != self.instance.version:
            self.add_error(None, _(CHANGED_MEANWHILE))
        if not self.errors:
            self._check(cleaned)
        return cleaned

    def _check(self, cleaned: dict[str, Any]) -> None:
        before = values_of(self._stored()) if self.instance.pk else None
        try:
            self.values = clean(
                self.entity, self._data(cleaned), user=self.request.user, before=before, partial=True
            )
        except DomainError as error:
            self.show(error)

    def _stored(self) -> Any:
        """The record as it is: what is hidden is blank on the form's own (core.entities.blanking)."""
        is_whole = not self.entity.for_user(self.request.user).hidden
        return self.instance if is_whole else self.entity.model.objects.get(pk=self.instance.pk)

    def _data(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """What the user entered, as a client of the API would send it."""
        names = [n for n in (self.changed_data if self.instance.pk else self.fields) if n != SEEN]
        data = {name: getattr(cleaned[name], "pk", cleaned[name]) for name in names if name in cleaned}
        return {n: v for n, v in data.items() if not n.startswith(PREFIX)} | self._custom(names, cleaned)

    def _custom(self, names: list[str], cleaned: dict[str, Any]) -> dict[str, Any]:
        """The custom fields that were entered; a new record takes the defaults of those left empty."""
        given = entered({name: cleaned[name] for name in names if name in cleaned})
        if not self.instance.pk:
            given = {key: value for key, value in given.items() if value is not None}
        return {"custom_fields": given} if given else {}


OVERRIDES = {
    ArrayField: {"form_class": LinesField, "widget": LinesField.widget},
    models.URLField: {"assume_scheme": "https"},
}
