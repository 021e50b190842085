"""What a list is narrowed by, in words above it, each with a link that takes it away."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.views.main import IGNORED_PARAMS, SEARCH_VAR
from django.db.models import ForeignKey
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from core import labels
from core.entities.blanking import any_shown_to
from core.models.record import Record

UNNAMED = (*IGNORED_PARAMS, SEARCH_VAR)


@dataclass(frozen=True)
class Chip:
    """`title: text`, and the address of the list without it."""

    title: str
    text: str
    url: str
    removes: bool = True


def chips(changelist: Any, user: Any) -> list[Chip]:
    """The search, every filter that is in force, also by default, and what an address narrows by besides."""
    return [*_search(changelist), *_filters(changelist, user), *_others(changelist, user)]


def _search(changelist: Any) -> Iterator[Chip]:
    if changelist.query:
        url = changelist.get_query_string(remove=[SEARCH_VAR])
        yield Chip(_("Search"), changelist.query, url)


def _filters(changelist: Any, user: Any) -> Iterator[Chip]:
    for spec in changelist.filter_specs:
        names = [name for name in spec.expected_parameters() if changelist.params.get(name)]
        title = capfirst(str(spec.title))
        if names:
            url = changelist.get_query_string(remove=names)
            yield Chip(title, _in_words(spec, changelist, names, user), url)
        elif default := getattr(spec, "default_text", ""):
            yield Chip(title, str(default), changelist.get_query_string(spec.without_default), removes=False)


def _in_words(spec: Any, changelist: Any, names: list[str], user: Any) -> str:
    values = [str(changelist.params[name]) for name in names]
    if getattr(spec, "has_unread", False):
        return _("%(text)s (the list is not narrowed by what is no date)") % {"text": " ".join(values)}
    field = getattr(spec, "field", None)
    if isinstance(field, ForeignKey):
        return _related(field, values, user)
    choices = getattr(spec, "lookup_choices", None) or getattr(field, "flatchoices", None) or ()
    labels = {str(key): str(label) for key, label, *_rest in choices}
    return " – ".join(labels.get(value, value) for value in values)  # noqa: RUF001


def _related(field: Any, values: list[str], user: Any) -> str:
    """What ids stand for, as the reader may call it."""
    ids = [value for value in values if value.isdigit()]
    found = field.remote_field.model._default_manager.filter(pk__in=ids)
    found = any_shown_to(user, found) if issubclass(found.model, Record) else found
    return ", ".join(str(row) for row in found) or ", ".join(values)


def _others(changelist: Any, user: Any) -> Iterator[Chip]:
    known = {name for spec in changelist.filter_specs for name in spec.expected_parameters()}
    for name, value in changelist.params.items():
        if name not in known and name not in UNNAMED:
            field = _relation(changelist.opts, name)
            title = labels.titled(name.partition("__")[0])
            text = _related(field, [str(value)], user) if field else str(value)
            yield Chip(title, text, changelist.get_query_string(remove=[name]))


def _relation(opts: Any, name: str) -> ForeignKey | None:
    """The foreign key whose id a parameter like `pipeline__id__exact` names."""
    found, _sep, lookup = name.partition("__")
    named = {field.name: field for field in opts.fields if isinstance(field, ForeignKey)}
    return named.get(found) if lookup in ("", "exact", "id", "id__exact", "pk") else None
