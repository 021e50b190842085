"""Where records that are to be merged differ: whose value may be chosen, and which it is if nobody does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.duplicates.combining import CUSTOM, LISTS, Combination, is_reference_to, selectable, state_of
from core.entities import Column, Entity, entity_of, field_types
from core.entities.custom import PREFIX
from core.entities.merging import is_filled
from core.entities.references import referable
from core.labels import field_title


@dataclass(frozen=True)
class MergeChoice:
    """A field in which records differ: each of its values under the first record that has it."""

    name: str
    label: str
    options: Sequence[tuple[int, str]]
    chosen: int


def choices(entity: Entity, records: Sequence[Any], user: Any) -> list[MergeChoice]:
    """The fields in which the records differ. Lists are united and need no choice, and what stands above a
    record in its own table is worked out; what the user may not see or change is nothing to choose."""
    seen = entity.for_user(user)
    entity = entity_of(entity.model)
    made = Combination(entity, [record.pk for record in records], [state_of(entity, r) for r in records], {})
    plain = [
        column
        for column in selectable(seen).values()
        if not isinstance(column.field_type, LISTS) and not is_reference_to(entity, column)
    ]
    return [*_of_columns(made, plain, user), *_of_custom_fields(made, seen)]


def _of_columns(made: Combination, columns: Sequence[Column], user: Any) -> Iterator[MergeChoice]:
    for column in columns:
        values = [state[column.path] for state in made.states]
        if _differ(values):
            texts = _texts(column, values, user)
            yield MergeChoice(
                column.name, field_title(column), _options(made, texts), made.ids[made.place(column.name)]
            )


def _of_custom_fields(made: Combination, seen: Entity) -> Iterator[MergeChoice]:
    out_of_reach = seen.hidden_keys | seen.locked_keys
    for key in dict.fromkeys(key for state in made.states for key in state[CUSTOM]):
        if key in out_of_reach:
            continue
        values = [state[CUSTOM].get(key) for state in made.states]
        if _differ(values):
            chosen = next((n for n, value in enumerate(values) if is_filled(value)), 0)
            texts = [str(value) if is_filled(value) else "-" for value in values]
            label = key.replace("_", " ").capitalize()
            yield MergeChoice(PREFIX + key, label, _options(made, texts), made.ids[chosen])


def _differ(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values)


def _options(made: Combination, texts: Sequence[str]) -> list[tuple[int, str]]:
    return list(zip(made.ids, texts, strict=True))


def _texts(column: Column, values: Sequence[Any], user: Any) -> list[str]:
    """Values as they are read; a reference to what the user does not see is its number."""
    if isinstance(column.field_type, field_types.Reference):
        named = referable(column.field_type.target, user).in_bulk([value for value in values if value])
        return [str(named.get(value, f"#{value}")) if value else "-" for value in values]
    return [str(value) if is_filled(value) else "-" for value in values]
