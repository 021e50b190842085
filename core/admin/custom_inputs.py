"""Custom fields as inputs of a record's form: one of its own for each, by its type."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth import get_user_model
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextInputWidget,
    UnfoldAdminURLInputWidget,
)

from core.entities.models import CustomField

PREFIX = "custom__"
Type = CustomField.Type
YES_NO = (("", "-"), ("true", _("Yes")), ("false", _("No")))


def inputs(
    definitions: Iterable[CustomField], stored: Mapping[str, Any], model: type[Any]
) -> dict[str, forms.Field]:
    """Form fields by name, with what the record has. What one leaves empty the record does not have."""
    return {f"{PREFIX}{one.key}": _input(one, stored.get(one.key), model) for one in definitions}


def entered(cleaned: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the inputs as the API takes them, by key; null where nothing was entered."""
    return {
        name.removeprefix(PREFIX): _sent(value) for name, value in cleaned.items() if name.startswith(PREFIX)
    }


def _sent(value: Any) -> Any:
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return getattr(value, "pk", value) or None


def _input(definition: CustomField, value: Any, model: type[Any]) -> forms.Field:
    options = {"label": definition.label, "help_text": definition.help_text, "required": False}
    make = _INPUTS.get(definition.type, _text)
    return make(definition, value, options | {"initial": value}, model)


def _text(definition: CustomField, value: Any, options: dict[str, Any], model: Any) -> forms.Field:
    return forms.CharField(widget=UnfoldAdminTextInputWidget, **options)


def _number(definition: CustomField, value: Any, options: dict[str, Any], model: Any) -> forms.Field:
    return forms.DecimalField(widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}), **options)


def _date(definition: CustomField, value: Any, options: dict[str, Any], model: Any) -> forms.Field:
    return forms.DateField(widget=UnfoldAdminDateWidget, **options)


def _moment(definition: CustomField, value: Any, options: dict[str, Any], model: Any) -> forms.Field:
    initial = parse_datetime(str(value)) if value else None
    return forms.SplitDateTimeField(widget=UnfoldAdminSplitDateTimeWidget, **options | {"initial": initial})


def _yes_no(definition: CustomField, value: Any, options: dict[str, Any], model: Any) -> forms.Field:
    initial = "" if value is None else "true" if value else "false"
    widget = UnfoldAdminSelectWidget
    return forms.ChoiceField(choices=YES_NO, widget=widget, **options | {"initial": initial})


def _choice(definition: CustomField, value: Any, options: dict[str, Any], model: Any) -> forms.Field:
    """With what the record has, also where it is no choice any more."""
    has = value if isinstance(value, list) else [value] if value else []
    choices = [(word, word) for word in dict.fromkeys([*definition.choices, *map(str, has)])]
    if definition.type == Type.MULTI_CHOICE:
        return forms.MultipleChoiceField(choices=choices, widget=UnfoldAdminSelectMultipleWidget, **options)
    return forms.ChoiceField(choices=[("", "-"), *choices], widget=UnfoldAdminSelectWidget, **options)


def _url(definition: CustomField, value: Any, options: dict[str, Any], model: Any) -> forms.Field:
    return forms.URLField(widget=UnfoldAdminURLInputWidget, assume_scheme="https", **options)


def _user(definition: CustomField, value: Any, options: dict[str, Any], model: Any) -> forms.Field:
    """Found by typing, as the record's owner is."""
    widget = AutocompleteSelect(model._meta.get_field("owner"), admin.site)
    return forms.ModelChoiceField(get_user_model().objects.all(), widget=widget, **options)


Make = Callable[[CustomField, Any, dict[str, Any], Any], forms.Field]
_INPUTS: dict[str, Make] = {
    Type.NUMBER: _number,
    Type.MONEY: _number,
    Type.DATE: _date,
    Type.DATETIME: _moment,
    Type.BOOLEAN: _yes_no,
    Type.CHOICE: _choice,
    Type.MULTI_CHOICE: _choice,
    Type.USER: _user,
    Type.URL: _url,
}
