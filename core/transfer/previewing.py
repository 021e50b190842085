"""Previews of imports."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.entities import Entity
from core.errors import InvalidError
from core.transfer.checked import Fault
from core.transfer.checking import Checker
from core.transfer.matching import match_columns
from core.transfer.planning import Plan, creation_warnings, missing_required, read_only_warnings, resolved
from core.transfer.reading import Chunk
from core.transfer.triggering import workflows_of_import_end
from core.workflows.models import Workflow

SAMPLES = 5
LOOKED_AT = 200


def preview(made: Plan) -> dict[str, Any]:
    """Shape, columns with samples, mapping with reasons, and what is wrong with the first rows."""
    shape, options = made.table.shape, resolved(made)
    sample = made.table.head(LOOKED_AT)
    checker = Checker(replace(made, options=replace(options, create_missing=False)), sample)
    problems = _problems(checker, sample)
    return {
        "resource": made.entity.plural,
        "format": shape.format,
        "encoding": shape.encoding or None,
        "delimiter": shape.delimiter or None,
        "sheet": shape.sheet or None,
        "header_row": shape.header_row,
        "rows": shape.rows,
        "rows_estimated": False,
        "columns": [_column(made, position, sample) for position in range(len(made.mapped))],
        "unmapped": [m.header for m in made.mapped if m.target is None],
        "missing_required": missing_required(made),
        "match_on": _match_on(made),
        "duplicates": options.duplicates,
        "problems": problems,
        "warnings": [
            *shape.notes(),
            *checker.notes,
            *made.table.notes,
            *checker.unknown_names(),
            *creation_warnings(made),
            *read_only_warnings(made),
        ],
        "automation": options.automation,
        "workflows": fed_workflows(made.entity, options.duplicates),
        "settings": options.as_json(),
    }


def fed_workflows(entity: Entity, duplicates: str) -> int:
    """How many active workflows an import with automation=run would start."""
    triggers = ["record_created"] + (["record_updated", "field_changed"] if duplicates == "update" else [])
    of_rows = Workflow.objects.filter(
        entity=entity.name, status=Workflow.Status.ACTIVE, archived_at=None, trigger_type__in=triggers
    )
    return of_rows.count() + workflows_of_import_end(entity.name).count()


def _column(made: Plan, position: int, sample: Chunk) -> dict[str, Any]:
    mapped = made.mapped[position]
    cells = (cell.strip()[:200] for cell in sample.column(position))
    target = mapped.target
    kind = target.column.field_type.type_name if target is not None and target.column is not None else None
    return {
        "header": mapped.header,
        "field": target.name if target else None,
        "kind": kind,
        "reason": mapped.reason,
        "samples": list(dict.fromkeys(cell for cell in cells if cell))[:SAMPLES],
    }


def _match_on(made: Plan) -> list[str]:
    return [column.name for column in match_columns(made.targets, made.mapped, made.options)]


def _problems(checker: Checker, sample: Chunk) -> dict[str, Any]:
    """Faults and warnings of the first rows, counted by column and code; existing records are not looked at
    yet."""
    try:
        checked = checker.check(sample)
    except InvalidError as error:
        return {"rows_checked": 0, "faults": [{"message": str(error)}]}
    return {
        "rows_checked": len(sample),
        "rows_with_faults": len(checked.faults),
        "faults": _counted(checked.faults, sample),
        "warnings": _counted(checked.warnings, sample),
    }


def _counted(faults: Mapping[int, list[Fault]], sample: Chunk) -> list[dict[str, Any]]:
    counted: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in sorted(faults):
        for fault in faults[row]:
            found = counted.setdefault(
                (fault.column, fault.field, fault.code),
                {**vars(fault), "row": sample.numbers[row], "rows": 0},
            )
            found["rows"] += 1
    return list(counted.values())
