"""Parameters of actions and settings of triggers: what may be given, checked when a workflow is saved."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from core.entities.field_types import Choice, FieldType, Text
from core.errors import FieldIssue, InvalidError, ValueRefusedError, unknown
from core.workflows import templating
from core.workflows.templating import TEXT, Names


@dataclass(frozen=True)
class Param:
    """One named value. A text with `{{ … }}` in it is a template if `template`; `escaping` says for
    what its output is made safe. `kind` checks what is written out at once, and what was rendered when the
    step runs. `refers_to` names what the value is one of, or for which (REFERRED)."""

    name: str
    kind: FieldType | None = None
    required: bool = False
    template: bool = True
    escaping: str = TEXT
    help_text: str = ""
    refers_to: str = ""

    @property
    def type_name(self) -> str:
        """Of what kind its value is; "any" where that is for the action to check."""
        return self.kind.type_name if self.kind is not None else "any"

    @property
    def choices(self) -> list[str]:
        """The values of a closed set; none where it is open."""
        return [value for value, _ in self.kind.options()] if isinstance(self.kind, Choice) else []


# What values may refer to: ids of users and teams; the key or id of an e-mail template; the name of a model;
# the name of a field of the record, one that may be written, or a date; the value of the field that is named
# beside it; values by the names of fields, of texts by name.
REFERRED = (
    "user", "team", "email_template", "model", "field", "writable_field", "date_field", "value_of_field",
    "values_by_field", "texts_by_name",
)  # fmt: skip


@dataclass(frozen=True)
class Scope:
    """Where an action stands: the entity of its record, what templates may read, whether a change started it,
    who saves the workflow, and whom it acts as."""

    entity: Any
    names: Names
    changes: bool
    author: Any = None
    principal: Any = None


def check(params: Iterable[Param], given: Any, scope: Scope, path: str) -> list[FieldIssue]:
    """What is wrong with the given values, each fault under its path."""
    if not isinstance(given, Mapping):
        return [FieldIssue(path, "not_an_object", gettext("Expected an object."))]
    known = {param.name: param for param in params}
    issues = [unknown(f"{path}.{name}", sorted(known)) for name in given if name not in known]
    for param in known.values():
        issues += _check_one(param, given.get(param.name), scope, f"{path}.{param.name}")
    return issues


def _check_one(param: Param, raw: Any, scope: Scope, path: str) -> list[FieldIssue]:
    if raw is None or raw == "":
        missed = FieldIssue(path, "required", gettext("This parameter is required."))
        return [missed] if param.required else []
    try:
        if param.template and templating.names_are_read(raw):
            templating.check_value(raw, scope.names, param.escaping)
        elif param.kind is not None:
            param.kind.to_internal_value(raw)
    except ValueRefusedError as error:
        return [FieldIssue(path, error.code, error.message)]
    return []


def render(params: Iterable[Param], given: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """The given values, templates rendered and everything cleaned. Raises InvalidError."""
    issues: list[FieldIssue] = []
    values: dict[str, Any] = {}
    for param in params:
        raw = given.get(param.name)
        if raw is None:
            continue
        try:
            values[param.name] = _rendered(param, raw, context)
            if param.required and isinstance(param.kind, Text) and values[param.name] in (None, ""):
                raise ValueRefusedError(gettext("Nothing was found for it."), code="required")
        except ValueRefusedError as error:
            issues.append(FieldIssue(param.name, error.code, error.message))
    if issues:
        raise InvalidError(issues)
    return values


def _rendered(param: Param, raw: Any, context: Mapping[str, Any]) -> Any:
    if not param.template:
        found = raw
    elif isinstance(raw, str) and (param.escaping != TEXT or isinstance(param.kind, Text | None)):
        # A number that stands alone in a text is text: "{{payload.created}}".
        found = templating.render(raw, context, param.escaping)
    else:
        found = templating.value(raw, context)
    return (
        found if param.kind is None or found is None or found == "" else param.kind.to_internal_value(found)
    )


def merge(*found: list[FieldIssue]) -> None:
    """Raise InvalidError if any issue was found."""
    issues = [issue for part in found for issue in part]
    if issues:
        raise InvalidError(issues)
