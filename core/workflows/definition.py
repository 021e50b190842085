"""A workflow's definition: checked whole when it is saved, compiled once per version when it is run."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext

from core.access import scopes
from core.conditions import parse, resources_behind
from core.entities import Entity, entities
from core.errors import FieldIssue, InvalidError
from core.outbound import sealing
from core.workflows import params, storable
from core.workflows.actions import Action, actions
from core.workflows.actions.base import MASK, secret_places
from core.workflows.models import WorkflowVersion
from core.workflows.params import Scope
from core.workflows.run_context import names_for
from core.workflows.triggers import Trigger, triggers

PARTS = ("trigger_type", "trigger_conditions", "actions")
MAX_ACTIONS = 100
MAX_DEPTH = 5
BRANCH = "branch"
ARMS = ("then", "else")


@dataclass(frozen=True)
class Instruction:
    """One action of the flat program; `following` is the next position, `otherwise` the one of the else arm.
    A position behind the last is the end. `reads` are the columns of the record it needs, None all."""

    position: int
    path: str
    action: Action
    given: Mapping[str, Any]
    following: int
    otherwise: int
    reads: frozenset[str] | None = None


@dataclass(frozen=True)
class Compiled:
    """A version ready to run."""

    entity: Entity | None
    trigger: Trigger
    settings: Mapping[str, Any]
    conditions: Any
    program: tuple[Instruction, ...]

    @property
    def schedule_zone(self) -> str:
        """The zone of the schedule that starts it; empty where that is something else."""
        return str(self.settings.get("time_zone") or "")


def check(definition: Mapping[str, Any], author: Any, principal: Any = None) -> None:
    """Raises InvalidError naming every fault of `trigger_type`, `trigger_conditions` and `actions`. What is
    hidden from the `principal`, whom it acts as, is not there."""
    for part in PARTS:
        storable.check(definition.get(part), part)
    trigger = triggers.get(str(definition.get("trigger_type")))
    if trigger is None:
        known = ", ".join(triggers.keys())
        raise InvalidError.of(
            "trigger_type",
            gettext("Unknown trigger. Known: %(known)s.") % {"known": known},
            "unknown_trigger",
        )
    given = definition.get("trigger_conditions") or {}
    if not isinstance(given, Mapping):
        raise InvalidError.of("trigger_conditions", gettext("Expected an object."), "not_an_object")
    entity, issues = _check_model(trigger, given)
    params.merge(issues)
    entity = entity.for_user(principal) if entity and trigger.has_record else None
    names = names_for(entity, changes=trigger.on_changes)
    scope = Scope(entity, names, trigger.on_changes, author, principal)
    params.merge(_check_trigger(trigger, given, scope), check_actions(definition.get("actions"), scope))


def _check_model(trigger: Trigger, given: Mapping[str, Any]) -> tuple[Entity | None, list[FieldIssue]]:
    path, name = "trigger_conditions.model", given.get("model")
    entity = entities.get(name) if isinstance(name, str) else None
    if name not in (None, "") and entity is None:
        known = ", ".join(entities.keys())
        return None, [
            FieldIssue(path, "unknown_model", gettext("Unknown model. Known: %(known)s.") % {"known": known})
        ]
    if entity is None and trigger.needs_entity:
        return None, [FieldIssue(path, "required", gettext("This trigger needs a model."))]
    if entity and trigger.entities and entity.name not in trigger.entities:
        return None, [
            FieldIssue(
                path, "wrong_model", gettext("Only for %(names)s.") % {"names": ", ".join(trigger.entities)}
            )
        ]
    return entity, []


def _check_trigger(trigger: Trigger, given: Mapping[str, Any], scope: Scope) -> list[FieldIssue]:
    settings = {key: value for key, value in given.items() if key not in ("model", "conditions")}
    issues = params.check(trigger.settings, settings, scope, "trigger_conditions")
    if not issues:
        found = trigger.check(scope.entity, settings)
        issues = [FieldIssue(f"trigger_conditions.{i.field}", i.code, i.message) for i in found]
    return issues + _check_conditions(given.get("conditions"), scope)


def _check_conditions(conditions: Any, scope: Scope) -> list[FieldIssue]:
    path = "trigger_conditions.conditions"
    if conditions in (None, {}, []):
        return []
    if scope.entity is None:
        return [
            FieldIssue(
                path, "no_record", gettext("There is no record to look at: name a model, or no conditions.")
            )
        ]
    try:
        parse(scope.entity, conditions, changes=scope.changes, name=path)
    except InvalidError as error:
        return error.issues
    return []


def definition_of(row: Any) -> dict[str, Any]:
    """What a workflow, or a version of one, is checked and run from."""
    return {name: getattr(row, name) for name in PARTS}


def require_scopes(given: Mapping[str, Any], user: Any) -> None:
    """An API key makes and starts only workflows that read and write what it may itself.

    Raises ScopeMissingError; `given` was checked.
    """
    if not scopes.is_limited(user):
        return
    program = compile_definition(given)
    entity = program.entity
    scopes.require(user, *([entity.plural] if entity else []), *sorted(_read(program)))
    written = {name for step in program.program for name in step.action.writes(entity, step.given)}
    scopes.require(user, *sorted(written), writing=True)


def _read(program: Compiled) -> set[str]:
    """What its conditions, and those of its branches, read besides the record."""
    if program.entity is None:
        return set()
    branches = [step.given["conditions"] for step in program.program if step.action.name == BRANCH]
    asked = [raw for raw in (program.conditions, *branches) if raw]
    return set().union(*(resources_behind(parse(program.entity, raw, changes=True)) for raw in asked))


def check_actions(given: Any, scope: Scope) -> list[FieldIssue]:
    """Faults of a list of actions, branches included."""
    if not isinstance(given, list) or not given:
        return [FieldIssue("actions", "required", gettext("At least one action is needed."))]
    if sum(1 for _ in iter_actions(given)) > MAX_ACTIONS:
        return [
            FieldIssue(
                "actions",
                "max_length",
                gettext("At most %(max_actions)s actions.") % {"max_actions": MAX_ACTIONS},
            )
        ]
    return [issue for i, item in enumerate(given) for issue in _check_action(item, scope, f"actions[{i}]", 0)]


def _check_action(item: Any, scope: Scope, path: str, depth: int) -> list[FieldIssue]:
    if not isinstance(item, Mapping) or set(item) - {"type", "params"}:
        return [FieldIssue(path, "invalid", gettext("Expected an object with type and params."))]
    action = actions.get(item["type"]) if isinstance(item.get("type"), str) else None
    if action is None:
        known = ", ".join(actions.keys())
        return [
            FieldIssue(
                f"{path}.type",
                "unknown_action",
                gettext("Unknown action. Known: %(known)s.") % {"known": known},
            )
        ]
    given = item.get("params")
    issues = action.check({} if given is None else given, scope, f"{path}.params")
    if action.name == BRANCH and isinstance(given, Mapping):
        issues += _check_arms(given, scope, path, depth)
    return issues


def _check_arms(given: Mapping[str, Any], scope: Scope, path: str, depth: int) -> list[FieldIssue]:
    if depth >= MAX_DEPTH:
        return [
            FieldIssue(
                path,
                "too_deep",
                gettext("Branches nest at most %(max_depth)s deep.") % {"max_depth": MAX_DEPTH},
            )
        ]
    if not given.get("then") and not given.get("else"):
        return [
            FieldIssue(
                f"{path}.params.then", "required", gettext("A branch needs actions under then or else.")
            )
        ]
    issues = []
    for arm in ARMS:
        items = given.get(arm) or []
        if not isinstance(items, list):
            issues.append(
                FieldIssue(f"{path}.params.{arm}", "not_a_list", gettext("Expected a list of actions."))
            )
            continue
        for i, item in enumerate(items):
            issues += _check_action(item, scope, f"{path}.params.{arm}[{i}]", depth + 1)
    return issues


def iter_actions(given: Any) -> Iterator[Any]:
    """Every action, those inside branches too, as deep as definitions may go."""
    stack = [(given, 0)]
    while stack:
        items, depth = stack.pop()
        if not isinstance(items, list) or depth > MAX_DEPTH + 1:
            continue
        for item in items:
            yield item
            inner = item.get("params") if isinstance(item, Mapping) else None
            if isinstance(inner, Mapping) and item.get("type") == BRANCH:
                stack += [(inner.get(arm), depth + 1) for arm in ARMS]


def sealed(given: Any, before: Any = None) -> Any:
    """The actions with secrets sealed; the mask that was shown stands for the secret that was there.

    Raises InvalidError for a mask that stands for no stored secret, and for a secret that looks
    like one that is sealed already.
    """
    old, new = list(_secrets(before)), list(_secrets(given))
    for place, secret in enumerate(new):
        if secret.value == MASK:
            secret.value = _behind_mask(secret, place, old, len(old) == len(new))
        elif secret.value and sealing.is_sealed(str(secret.value)):
            raise InvalidError.of(
                "actions",
                gettext("The %(name)s of %(kind)s cannot begin like this.")
                % {"name": secret.name, "kind": secret.kind},
            )
        elif secret.value and isinstance(secret.value, str | int):
            secret.value = sealing.seal(str(secret.value))
    return given


def unsealed(given: Any) -> Any:
    """A copy of the actions with secrets in clear, to be checked and compiled and kept nowhere."""
    copied = deepcopy(given)
    for secret in _secrets(copied):
        if isinstance(secret.value, str):
            secret.value = sealing.unseal(secret.value)
    return copied


def _behind_mask(secret: "Secret", place: int, old: list["Secret"], as_many: bool) -> str:
    """The secret of the same action: the only one of its type, or the one that was written like it is now, or
    that in its place."""
    found = [(i, was) for i, was in enumerate(old) if (was.name, was.kind) == (secret.name, secret.kind)]
    same = [was.value for _, was in found if _open_part(was.item) == _open_part(secret.item)]
    there = [was.value for i, was in found if i == place and as_many]
    for values in ([was.value for _, was in found], same, there):
        if len(set(values)) == 1:
            return values[0]
    raise InvalidError.of(
        "actions",
        gettext("Give the %(name)s of %(kind)s anew: %(mask)s stands for none.")
        % {"name": secret.name, "kind": secret.kind, "mask": MASK},
        "secret",
    )


def _open_part(item: Any) -> Any:
    """An action without the values of its secrets."""
    return masked([item])[0]


def masked(given: Any) -> Any:
    """A copy of the actions as they are shown: secrets under a mask."""
    copied = deepcopy(given)
    for secret in _secrets(copied):
        if secret.value:
            secret.value = MASK
    return copied


@dataclass
class Secret:
    """One secret value of an action in a definition, and where it stands."""

    item: Any
    place: Any
    name: str

    @property
    def kind(self) -> str:
        return self.item["type"]

    @property
    def value(self) -> Any:
        return self.place[self.name]

    @value.setter
    def value(self, value: Any) -> None:
        self.place[self.name] = value


def _secrets(given: Any) -> Iterator[Secret]:
    for item in iter_actions(given):
        kind = item.get("type") if isinstance(item, Mapping) else None
        action = actions.get(kind) if isinstance(kind, str) else None
        inner = item.get("params") if isinstance(item, Mapping) else None
        if action is not None and isinstance(inner, Mapping):
            yield from (Secret(item, *found) for found in list(secret_places(action, inner)))


@lru_cache(maxsize=2_000)
def _compiled(version_id: int) -> Compiled:
    version = WorkflowVersion.objects.get(pk=version_id)
    return compile_definition(version.definition)


def compiled(version_id: int) -> Compiled:
    """The version ready to run. Versions never change, so each is compiled once per process."""
    return _compiled(version_id)


def compile_definition(definition: Mapping[str, Any]) -> Compiled:
    """A definition that was checked, as a flat program. Raises UnknownKeyError for what is not registered."""
    given = definition.get("trigger_conditions") or {}
    settings = {key: value for key, value in given.items() if key not in ("model", "conditions")}
    trigger = triggers[definition["trigger_type"]]
    entity = entities.get(given.get("model") or "") if trigger.has_record else None
    program = _flattened(definition.get("actions") or [], "", 0)
    return Compiled(
        entity=entity,
        trigger=trigger,
        settings=settings,
        conditions=given.get("conditions") or {},
        program=tuple(replace(i, reads=i.action.reads(entity, i.given)) for i in program),
    )


def _flattened(given: list[Any], prefix: str, start: int) -> list[Instruction]:
    """Positions from `start`; behind a then arm the program goes on after the else arm."""
    program: list[Instruction] = []
    for i, item in enumerate(given):
        position, path = start + len(program), f"{prefix}{i}"
        action, inner = actions[item["type"]], item.get("params") or {}
        if action.name != BRANCH:
            program.append(Instruction(position, path, action, inner, position + 1, position + 1))
            continue
        then = _flattened(inner.get("then") or [], f"{path}.then.", position + 1)
        after_then = position + 1 + len(then)
        otherwise = _flattened(inner.get("else") or [], f"{path}.else.", after_then)
        end = after_then + len(otherwise)
        own = Instruction(position, path, action, inner, position + 1, after_then)
        program += [own, *(_led_to(step, after_then, end) for step in then), *otherwise]
    return program


def _led_to(step: Instruction, after_then: int, end: int) -> Instruction:
    """What would go on into the else arm goes on behind it."""
    following = end if step.following == after_then else step.following
    otherwise = end if step.otherwise == after_then else step.otherwise
    return replace(step, following=following, otherwise=otherwise)
