"""Fields one reference away: `company.industry`, `owner.team`, `opportunity.stage`.

Such a field is asked of the record that the reference points at, where the user sees it (compiling.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext

from core.entities import field_types
from core.entities.columns import Column
from core.entities.custom import PREFIX
from core.entities.references import columns_of_target


@dataclass(frozen=True, kw_only=True)
class RelatedColumn(Column):
    """`far`, a column of what `reference` points at, under both their names."""

    reference: Column
    far: Column


class FarColumns:
    """The columns of what references point at. Whoever reads many names keeps one: the definitions of custom
    fields are read once for each target."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, bool], Mapping[str, Column]] = {}

    def of(self, reference: Column, asked: str) -> Mapping[str, Column]:
        """Those behind a reference that are not hidden; custom ones only where `asked` is one's name."""
        key = (target_of(reference), asked.startswith(PREFIX))
        if key not in self._found:
            rights = reference.rights_behind
            self._found[key] = columns_of_target(key[0], PREFIX if key[1] else "", rights)
        return self._found[key]


def related_column(
    columns: Mapping[str, Column], name: str, separator: str = ".", known: FarColumns | None = None
) -> RelatedColumn | None:
    """The field that a name such as `owner.team` stands for, of an entity with these columns; None where it
    stands for none."""
    reference, rest = split(columns, name, separator)
    far = (known or FarColumns()).of(reference, rest).get(rest) if reference else None
    if reference is None or far is None or not far.filterable:
        return None
    return RelatedColumn(
        name=f"{reference.name}.{far.name}",
        field_type=far.field_type,
        path=far.path,
        label=f"{reference.label}: {far.label}",
        writable=False,
        orderable=False,
        reference=reference,
        far=far,
    )


def split(columns: Mapping[str, Column], name: str, separator: str) -> tuple[Column | None, str]:
    """The reference that a name begins with, the longest there is, and what stands behind it."""
    found = [one for one in references(columns) if name.startswith(one.name + separator)]
    reference = max(found, key=lambda one: len(one.name), default=None)
    return reference, name[len(reference.name) + len(separator) :] if reference else ""


def references(columns: Mapping[str, Column]) -> list[Column]:
    """Those that point at something conditions can look at."""
    found = {c.name: c for c in columns.values() if isinstance(c.field_type, field_types.Reference)}
    return [c for c in found.values() if c.filterable]


def target_of(reference: Column) -> str:
    """What a reference points at, as `columns_of_target` names it."""
    return str(getattr(reference.field_type, "target", ""))


def unknown_related(
    columns: Mapping[str, Column], name: str, separator: str = ".", known: FarColumns | None = None
) -> str:
    """What is wrong with a name that begins with a reference, and what would not be; "" for other names."""
    reference, rest = split(columns, name, separator)
    if reference is None:
        return ""
    far = (known or FarColumns()).of(reference, rest)
    further, _ = split(far, rest, separator)
    wrong = (
        gettext("Fields are asked for one reference away, not two.") if further else gettext("Unknown field.")
    )
    return f"{wrong} Known: {', '.join(known_related(reference, separator))}."


def known_related(reference: Column, separator: str = ".") -> list[str]:
    """The fields behind a reference, with its name."""
    far = columns_of_target(target_of(reference), PREFIX, reference.rights_behind)
    return [f"{reference.name}{separator}{name}" for name in sorted(far) if far[name].filterable]
