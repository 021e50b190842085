"""How a table would be imported: where its columns go and by which settings, for preview and import."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from core.access import scopes
from core.entities import Entity, entities
from core.entities.custom import custom_columns
from core.entities.entity import NeedsAny
from core.entities.regions import COUNTRY_FIELD, region_at
from core.errors import InvalidError
from core.transfer import mapping
from core.transfer.import_fields import FULL_NAME, READ_ONLY, ImportFields
from core.transfer.mapping import MappedColumn
from core.transfer.matching import match_columns
from core.transfer.options import Options
from core.transfer.reading import Table
from core.transfer.resolving import create_by_name


@dataclass(frozen=True)
class Plan:
    """A table, and where its columns go."""

    table: Table
    targets: ImportFields
    mapped: list[MappedColumn]
    options: Options
    user: Any

    @property
    def entity(self) -> Entity:
        return self.targets.entity

    @property
    def zone(self) -> ZoneInfo:
        """Where times without an offset are meant: as asked for, as the file says, where the user is."""
        asked = self.options.timezone or self.table.shape.timezone
        return ZoneInfo(asked or getattr(self.user, "time_zone", "") or "UTC")

    @property
    def phone_region(self) -> str:
        """Where phone numbers without a country code are from, where their row names no country."""
        asked = self.options.phone_region or getattr(self.user, "phone_region", "") or ""
        return region_at(self.options.default_values.get(COUNTRY_FIELD), asked)


def plan(entity: Entity, table: Table, options: Options, user: Any) -> Plan:
    """How `table` would be imported. Raises InvalidError for a mapping that does not fit."""
    targets = ImportFields(entity.for_user(user))
    if options.mapping is None:
        mapped = mapping.propose_mapping(targets, table)
    else:
        mapped = mapping.given(targets, table.shape.headers, options.mapping)
    if options.create_missing:
        _require_scopes(mapped, user)
    return Plan(table, targets, mapped, options, user)


def _require_scopes(mapped: Sequence[MappedColumn], user: Any) -> None:
    """Raises ScopeMissingError for an API key that may not write what would be made by its name."""
    named = {m.target.refers_to for m in mapped if m.target and m.target.is_reference}
    made = [entities[target].plural for target in sorted(named) if create_by_name(target)]
    scopes.require(user, *made, writing=True)


def resolved(made: Plan) -> Options:
    """The options with everything that was found out filled in: what the preview shows, the import uses."""
    shape = made.table.shape
    return replace(
        made.options,
        mapping={m.header: m.target.name if m.target else "" for m in made.mapped},
        encoding=shape.encoding or None,
        delimiter=shape.delimiter or None,
        header_row=shape.header_row,
        sheet=shape.sheet or None,
    )


def check_importable(made: Plan) -> None:
    """Raises InvalidError for a plan by which no row whatever could be imported."""
    if not any(m.target for m in made.mapped):
        raise _nothing_mapped_error(made)
    missing = missing_required(made)
    if missing and not match_columns(made.targets, made.mapped, made.options):
        raise _missing_fields_error(made, missing)


def missing_required(made: Plan) -> list[str]:
    """Required fields that nothing gives: every new record would be refused. Of fields of which one is enough
    all are named together."""
    given = mapped_fields(made.mapped) | set(made.options.default_values)
    needed = [c for c in made.targets.writable if c.required and not (c.custom and c.default is not None)]
    missing = [c.name for c in needed if c.name not in given]
    several = [rule.names for rule in made.entity.rules if isinstance(rule, NeedsAny)]
    return missing + [_(" or ").join(names) for names in several if not given & set(names)]


def read_only_warnings(made: Plan) -> list[dict[str, str]]:
    """A warning for each column that stays out because the importer's role may not change its field."""
    return [
        {
            "code": "read_only",
            "message": _("%(header)s is left out: your role may read this field alone.")
            % {"header": repr(m.header)},
        }
        for m in made.mapped
        if m.reason == READ_ONLY
    ]


def creation_warnings(made: Plan) -> list[dict[str, str]]:
    """A warning for each entity that `create_missing` is to make of a name, where a name alone makes none."""
    if not made.options.create_missing:
        return []
    found = []
    named = {m.target.refers_to for m in made.mapped if m.target and m.target.is_reference}
    for entity in (entities[kind].for_user(made.user) for kind in sorted(named) if create_by_name(kind)):
        columns = [*entity.columns, *custom_columns(entity)]
        lacking = [
            c.name for c in columns if c.required and c.default is None and c.name != entity.display_fields[0]
        ]
        if lacking:
            message = (
                _("A new %(name)s needs %(names)s too: rows that name none that is there come in without it.")
                if made.options.on_bad_value == "warn"
                else _("A new %(name)s needs %(names)s too: rows that name none that is there fail.")
            )
            words = {"name": entity.name, "names": _(" and ").join(lacking)}
            found.append({"code": "create_missing", "message": message % words})
    return found


def mapped_fields(mapped: Sequence[MappedColumn]) -> set[str]:
    """The columns that a mapping writes."""
    found = {m.target.column.name for m in mapped if m.target and m.target.column}
    if any(m.target and m.target.name == FULL_NAME for m in mapped):
        found |= {"first_name", "last_name"}
    return found


def _missing_fields_error(made: Plan, missing: Sequence[str]) -> InvalidError:
    names, columns = _(" and ").join(missing), ", ".join(made.table.shape.headers)[:300]
    example = missing[0].split(" ")[0]
    return InvalidError.of(
        "mapping",
        _(
            "No column gives %(names)s, which every new record needs. If one of them does "
            '(%(columns)s), send a mapping such as {"<column>": "%(example)s"}; or give it to '
            "all in default_values."
        )
        % {"names": names, "columns": columns, "example": example},
        "required",
    )


def _nothing_mapped_error(made: Plan) -> InvalidError:
    """The refusal of a file none of whose columns is known."""
    headers = ", ".join(made.table.shape.headers)[:300]
    return InvalidError.of(
        "mapping",
        _(
            "None of the columns is known here (%(headers)s). Send a mapping such as "
            '{"%(headers2)s": "…"}; fields: %(known)s.'
        )
        % {"headers": headers, "headers2": made.table.shape.headers[0][:40], "known": made.targets.known},
        "nothing_mapped",
    )
