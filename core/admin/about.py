"""Rows that name a record by its entity and id: lists show what it is called, with a link to its page."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from core.changes.history import actors_of
from core.entities import entities
from core.entities.reading import nested_refs

# Fields of lists, and the columns that stand in their place.
SHOWN = {"entity": "shown_entity", "object_id": "shown_record", "actor_id": "shown_actor"}


def has_field(model: Any, name: str) -> bool:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return not field.is_relation


def entity_word(name: str) -> str:
    """What records of an entity are called; the name itself in words where it is no entity's."""
    entity = entities.get(name)
    return capfirst(str(entity.model._meta.verbose_name) if entity else name.replace("_", " "))


def name_rows(rows: Sequence[Any], model: Any, user: Any) -> None:
    """Put beside the rows what their records and actors are called: one statement for each kind."""
    if has_field(model, "entity") and has_field(model, "object_id"):
        _name_records(rows, user)
    if has_field(model, "actor_id"):
        actors = actors_of(rows)
        for row in rows:
            row.named_actor = actors.get(row.actor_id, {}).get("full_name", "")


def _name_records(rows: Sequence[Any], user: Any) -> None:
    wanted: dict[str, set[int]] = {}
    for row in rows:
        if row.entity in entities and row.object_id:
            wanted.setdefault(row.entity, set()).add(row.object_id)
    named = {name: nested_refs(name, ids, user) for name, ids in wanted.items()}
    for row in rows:
        row.named_record = named.get(row.entity, {}).get(row.object_id, {}).get("name", "")


def record_link(entity: str, pk: Any, name: str) -> Any:
    """The record by its name, with a link; by its kind and number where its reader does not see it."""
    if not name:
        return f"{entity_word(entity)} {pk}" if pk else ""
    meta = entities[entity].model._meta
    try:
        url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[pk])
    except NoReverseMatch:
        return name
    return format_html('<a class="crm-strong" href="{}">{}</a>', url, name)


class AboutMixin:
    """Columns of lists that have words in place of the fields in SHOWN."""

    def get_list_display(self: Any, request: HttpRequest) -> Any:
        names = super().get_list_display(request)  # type: ignore[misc]
        return [SHOWN[name] if self._is_shown(name) else name for name in names]

    def _is_shown(self: Any, name: Any) -> bool:
        return isinstance(name, str) and name in SHOWN and has_field(self.model, name)

    @admin.display(description=_("record type"), ordering="entity")
    def shown_entity(self, row: Any) -> str:
        return entity_word(row.entity)

    @admin.display(description=_("about"), ordering="object_id")
    def shown_record(self, row: Any) -> Any:
        return record_link(getattr(row, "entity", ""), row.object_id, getattr(row, "named_record", ""))

    @admin.display(description=_("who"), ordering="actor_id")
    def shown_actor(self, row: Any) -> str:
        name = getattr(row, "named_actor", "")
        return name or (str(row.actor_id) if row.actor_id else "")
