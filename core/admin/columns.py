"""Columns of lists that show more than a value: badges, money, people, moments as people say them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.admin import formats
from core.labels import lazy_label

Column = Callable[..., Any]


def choice_badge(
    name: str, tones: Mapping[Any, str], title: Any = None, *, silent: tuple[str, ...] = ()
) -> Column:
    """The label of a choice as a badge; values in `silent` go without saying and are left out."""

    @admin.display(description=title or lazy_label(name.replace("_", " ")), ordering=name)
    def shown(page: Any, record: Any) -> Any:
        value = getattr(record, name)
        label = getattr(record, f"get_{name}_display")()
        return "" if not value or value in silent else formats.badge(label, tones.get(value, "neutral"))

    return shown


def plain(name: str, title: Any) -> Column:
    """The value under a title shorter than the field's."""

    @admin.display(description=title, ordering=name)
    def shown(page: Any, record: Any) -> Any:
        return getattr(record, name)

    return shown


def amount(name: str, title: Any = None, *, currency: str = "currency") -> Column:
    """Money with its currency."""

    @admin.display(description=title or lazy_label(name.replace("_", " ")), ordering=name)
    def shown(page: Any, record: Any) -> Any:
        return formats.money(getattr(record, name), getattr(record, currency))

    return shown


def moment(name: str, title: Any = None) -> Column:
    """How long ago or ahead, with the exact time as its title."""

    @admin.display(description=title or lazy_label(name.removesuffix("_at").replace("_", " ")), ordering=name)
    def shown(page: Any, record: Any) -> Any:
        return formats.when(getattr(record, name))

    return shown


def deadline(name: str, title: Any = None, *, still: Callable[[Any], bool]) -> Column:
    """As `moment`, marked where it is past and the record is `still` open."""

    @admin.display(description=title or lazy_label(name.replace("_", " ")), ordering=name)
    def shown(page: Any, record: Any) -> Any:
        found = getattr(record, name)
        return due(found) if still(record) else formats.when(found)

    return shown


def due(found: Any) -> Any:
    """When something open is due, marked where that is past."""
    if found is None:
        return ""
    now = timezone.now() if isinstance(found, datetime) else timezone.localdate()
    words = formats.when(found)
    return formats.badge(words, "bad", title=_("Overdue")) if found < now else words


def person(name: str, title: Any = None) -> Column:
    """A user by full name; the list selects them along (`list_select_related`)."""

    @admin.display(description=title or lazy_label(name.replace("_", " ")), ordering=f"{name}__username")
    def shown(page: Any, record: Any) -> Any:
        found = getattr(record, name)
        return "" if found is None else found.get_full_name()

    return shown
