"""What files and reports hold of fields that were hidden from their user's role after they were made.

A file of an export is served no more: it can be made again without them. A report of an import stays, without
what the columns held that went into such fields.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from core.entities import entities
from core.entities.field_rights import rights_of
from core.errors import ConflictError
from core.transfer.models import ExportJob, ImportIssue, ImportJob

FILE = gettext_noop("A field has been hidden from your role since this file was made; export it again.")
# Stands among what is stored, in the same language.
FAULT = "Something is wrong with a field that is hidden from you."


def hidden_words(user: Any) -> list[str]:
    """The fields of all entities that are hidden from a user, as "entity field"."""
    return sorted(f"{entity} {field}" for entity, field in rights_of(user).hidden)


def check_file(job: ExportJob, user: Any) -> None:
    """Refuse a file that may hold what is hidden by now: also what references and conditions name counts.
    Raises ConflictError."""
    if not set(job.hidden).issuperset(hidden_words(user)):
        raise ConflictError(_(FILE), code="hidden_since")


class ShownReport:
    """The report of an import as its user sees it by now."""

    def __init__(self, job: ImportJob, user: Any) -> None:
        self._hidden = entities[job.entity].for_user(user).hidden
        self._columns: Sequence[Mapping[str, Any]] = job.settings.get("columns", [])
        self._places = {i for i, column in enumerate(self._columns) if column["field"] in self._hidden}
        self._headers = {self._columns[i]["header"] for i in self._places}

    def columns(self) -> list[Mapping[str, Any]]:
        """Where the columns of the file went."""
        return [
            {**column, "field": None} if i in self._places else column
            for i, column in enumerate(self._columns)
        ]

    def cells(self, issue: ImportIssue) -> list[str]:
        return ["" if i in self._places else cell for i, cell in enumerate(issue.cells)]

    def errors(self, issue: ImportIssue) -> list[dict[str, Any]]:
        return [self._without(error) if self._is_hidden(error) else error for error in issue.errors]

    def warnings(self, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [warning for warning in found if not self._is_hidden(warning)]

    def message(self, text: str) -> str:
        """Why it failed: it quotes the first faulty row."""
        return FAULT if text and self._places else text

    def _is_hidden(self, fault: Mapping[str, Any]) -> bool:
        return fault.get("field") in self._hidden or fault.get("column") in self._headers

    def _without(self, error: dict[str, Any]) -> dict[str, Any]:
        blank = {name: "" for name in ("column", "field", "value") if name in error}
        return error | blank | {"message": FAULT}
