"""Which column of the file goes where, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.utils.translation import gettext as _

from core.errors import FieldIssue, InvalidError
from core.transfer.computed_columns import columns_of
from core.transfer.header_words import meant_by
from core.transfer.headers import SourceSystem, lookup_word, normalised
from core.transfer.import_fields import ID, READ_ONLY, ImportField, ImportFields, MappedColumn
from core.transfer.reading import Table
from core.transfer.value_evidence import refine_by_values

OWN = "own export"


def given(targets: ImportFields, headers: Sequence[str], mapping: Mapping[str, str]) -> list[MappedColumn]:
    """The mapping as asked for; columns it does not name stay out. Raises InvalidError."""
    issues = []
    wanted: dict[int, ImportField | None] = {}
    for header, name in mapping.items():
        position = _position(headers, header)
        if position is None:
            known = ", ".join(headers)[:500]
            issues.append(
                FieldIssue(
                    "mapping",
                    "unknown_column",
                    _("No column %(header)s. There are: %(known)s.")
                    % {"header": repr(header[:80]), "known": known},
                )
            )
        elif name in targets.locked:
            message = _("Your role may read %(name)s and not change it.") % {"name": name}
            issues.append(FieldIssue("mapping", "read_only", message))
        elif name and name not in targets.by_name:
            message = _("No field %(name)s to import into. Known: %(known)s.") % {
                "name": repr(name[:80]),
                "known": targets.known,
            }
            issues.append(FieldIssue("mapping", "unknown_field", message))
        else:
            wanted[position] = targets.by_name[name] if name else None
    if not issues and not any(wanted.values()):
        issues.append(FieldIssue("mapping", "required", _("The mapping names no field.")))
    if issues:
        raise InvalidError(issues)
    return [MappedColumn(i, header, wanted.get(i), _reason(i, wanted)) for i, header in enumerate(headers)]


def _reason(position: int, wanted: Mapping[int, ImportField | None]) -> str:
    """Why a column goes where it does, under a mapping that was given."""
    if position not in wanted:
        return "none"
    return "given" if wanted[position] else "ignored"


def _position(headers: Sequence[str], name: str) -> int | None:
    """The column of exactly this name, else of the same name spelled otherwise."""
    if name in headers:
        return list(headers).index(name)
    same = [i for i, header in enumerate(headers) if normalised(header) == normalised(name)]
    return same[0] if len(same) == 1 else None


def propose_mapping(targets: ImportFields, table: Table) -> list[MappedColumn]:
    """The mapping that headers and values suggest."""
    return refine_by_values(targets, map_by_headers(targets, table.shape.headers), table)


def map_by_headers(targets: ImportFields, headers: Sequence[str]) -> list[MappedColumn]:
    """The mapping that the header row itself suggests; nothing is guessed from likeness."""
    if _is_own_export(targets, headers):
        _refuse_foreign_ids(headers)
        return [_own(targets, i, header) for i, header in enumerate(headers)]
    plain = [normalised(header) for header in headers]
    system = targets.headers.system_of(plain)
    found = [_found(targets, i, header, system) for i, header in enumerate(headers)]
    return _each_once(targets, found)


def _each_once(targets: ImportFields, found: Sequence[MappedColumn]) -> list[MappedColumn]:
    """Without a second column of the same header spelled otherwise (`name`, `NAME`), and without a substitute
    for a column that is there (a county, where there is a state)."""
    seen: set[tuple[str, str]] = set()
    fields = {m.target.name for m in found if m.target and m.reason != "instead"}
    kept = []
    for mapped in found:
        key = (mapped.target.name if mapped.target else "", normalised(mapped.header).replace(" ", ""))
        stands_in = mapped.reason == "instead" and mapped.target and mapped.target.name in fields
        if mapped.target and (key in seen or stands_in):
            mapped = replace(mapped, target=None, reason="another column gives it")
        seen.add(key)
        kept.append(mapped)
    return kept


def _is_own_export(targets: ImportFields, headers: Sequence[str]) -> bool:
    known = set(targets.columns) | set(targets.by_name) | set(columns_of(targets.entity))
    return len(headers) > 1 and ID in headers and all(header in known for header in headers)


# Beside `id`, headers that tables of any program have: they prove no export of ours.
_ANYBODYS = frozenset(
    """id name title first_name last_name full_name email phone mobile website industry company company_name
    address city state postal_code country status stage amount currency description notes tags priority
    due_date created_at updated_at""".split()
)

_NAMES = frozenset(["first_name", "last_name", "full_name", "name", "title", "email"])


def _refuse_foreign_ids(headers: Sequence[str]) -> None:
    """Raises InvalidError where ids may be another system's: taken for ours, they would meet other
    records."""
    names = set(headers)
    if names <= _ANYBODYS and names & _NAMES:
        message = _(
            'Are the ids in "id" those of this CRM or of another system? Send a mapping that says so:'
            ' {"id": "id", …} or {"id": "external_id", …}.'
        )
        raise InvalidError.of("mapping", message, "ambiguous_id")


def _own(targets: ImportFields, position: int, header: str) -> MappedColumn:
    target = targets.by_name.get(header) if header not in targets.headers.derived else None
    out = READ_ONLY if header in targets.locked else "ignored"
    return MappedColumn(position, header, target, OWN if target else out)


def _found(targets: ImportFields, position: int, header: str, system: SourceSystem | None) -> MappedColumn:
    plain, bare = normalised(header), header.strip()
    if "." in bare and bare in targets.by_name:
        return _mapped(targets, position, header, bare, "name")  # custom_fields.plan, company.external_id
    if system is not None:
        name = _in_system(system, plain)
        if name is not None and (name or not _is_custom(targets, plain)):
            return _mapped(targets, position, header, name, f"system: {system.name}")
    own = targets.by_header.get(plain)
    if own:
        return _mapped(targets, position, header, own, "name")
    alias = lookup_word(targets.headers.fields, header)
    if alias:
        return _mapped(targets, position, header, alias, "alias")
    stand_in = lookup_word(targets.headers.instead, header)
    if stand_in:
        return _mapped(targets, position, header, stand_in, "instead")
    name, reason = meant_by(targets, header)
    return _mapped(targets, position, header, name, reason)


def _is_custom(targets: ImportFields, plain: str) -> bool:
    """Whether somebody made a field of this name, to keep what a program's profile leaves out."""
    own = targets.by_name.get(targets.by_header.get(plain, ""))
    return own is not None and own.column is not None and own.column.custom


def _in_system(system: SourceSystem, plain: str) -> str | None:
    """The field of a header in a program's table, blanks aside: CLOSEDATE is close date."""
    if plain in system.fields:
        return system.fields[plain]
    squeezed = plain.replace(" ", "")
    return next((n for h, n in system.fields.items() if h.replace(" ", "") == squeezed), None)


def _mapped(targets: ImportFields, position: int, header: str, name: str, reason: str) -> MappedColumn:
    target = targets.by_name.get(name)
    if name in targets.locked:
        return MappedColumn(position, header, None, READ_ONLY)
    if target is None:
        return MappedColumn(position, header, None, "ignored" if reason.startswith("system") else "none")
    return MappedColumn(position, header, target, reason)


def words_by_column(
    targets: ImportFields, asked: Mapping[str, Mapping[str, str]]
) -> dict[str, Mapping[str, str]]:
    """`value_mapping` by the name of the column. Raises InvalidError naming each that is no field."""
    found: dict[str, Mapping[str, str]] = {}
    issues = []
    for name, table in asked.items():
        target = targets.by_name.get(name)
        if target is None or target.column is None:
            issues.append(
                FieldIssue(
                    f"value_mapping.{name[:80]}",
                    "unknown_field",
                    _("Known: %(known)s.") % {"known": targets.known},
                )
            )
        else:
            found[target.column.name] = table
    if issues:
        raise InvalidError(issues)
    return found
