"""The base of all actions, and what a step hands to one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from django.utils.translation import gettext as _

from core.accounts.models import User
from core.entities import Entity
from core.errors import DomainError, FieldIssue, NotVisibleError
from core.registry import Registry
from core.workflows import params
from core.workflows.models import WorkflowExecution
from core.workflows.params import Param, Scope
from core.workflows.run_context import RunContext, columns_read
from core.workflows.storable import exceeds_64_bits


class TemporaryError(Exception):
    """The step may succeed later; `retry_after` is how long the other side asked us to wait."""

    def __init__(
        self, message: str, *, code: str = "temporary", retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.code, self.retry_after = message, code, retry_after


class StepRefusedError(DomainError):
    """The step cannot be done and trying again would not help."""

    code = "refused"


@dataclass(frozen=True)
class StepResult:
    """What a step did. At most one of the rest: wait until a moment, end the run, take the other branch; or
    `skipped`, the reason why there was nothing to do: the run goes on."""

    output: dict[str, Any] = field(default_factory=dict)
    skipped: str = ""
    wait_until: datetime | None = None
    stop: bool = False
    otherwise: bool = False


@dataclass
class Step:
    """One action of one run, at work: in a transaction, with the rights of the run's principal."""

    run: WorkflowExecution
    subject: RunContext
    given: Mapping[str, Any]
    position: int
    path: str
    changes: bool = False

    @property
    def user(self) -> User | None:
        return self.subject.user

    @property
    def key(self) -> str:
        """The same for every attempt at this step, different from every other step's."""
        return f"run-{self.run.pk}-{self.position}"

    @cached_property
    def record(self) -> Any:
        """The run's record, locked for a change. Raises NotVisibleError, ForbiddenError."""
        if self.subject.entity is None or self.subject.pk is None:
            raise NotVisibleError(_("This run is about no record."))
        return self.subject.batch.locked(self.subject.pk)


class Action:
    """Base: subclasses give a name, their parameters and `run`, and register themselves."""

    name: ClassVar[str] = ""
    params: ClassVar[tuple[Param, ...]] = ()
    needs_record: ClassVar[bool] = False
    # Entities it makes sense for; all when empty.
    entities: ClassVar[tuple[str, ...]] = ()
    help_text: ClassVar[str] = ""
    # Parameters that are sealed when a workflow is saved and never shown; of one that is an object every
    # value of it, but for the names in `open_names`.
    secrets: ClassVar[tuple[str, ...]] = ()
    open_names: ClassVar[frozenset[str]] = frozenset()

    def check(self, given: Mapping[str, Any], scope: Scope, path: str) -> list[FieldIssue]:
        """Everything wrong with the parameters, when the workflow is saved."""
        issues = params.check(self.params, given, scope, path)
        if self.needs_record and scope.entity is None:
            issues.append(
                FieldIssue(
                    path, "no_record", _("%(name)s needs a workflow about a model.") % {"name": self.name}
                )
            )
        elif self.entities and (scope.entity is None or scope.entity.name not in self.entities):
            known = ", ".join(self.entities)
            issues.append(
                FieldIssue(
                    path,
                    "wrong_model",
                    _("%(name)s works on %(known)s.") % {"name": self.name, "known": known},
                )
            )
        return issues or self.check_more(given, scope, path)

    def check_more(self, given: Mapping[str, Any], scope: Scope, path: str) -> list[FieldIssue]:
        """Faults between parameters; asked only when each of them is right by itself."""
        return []

    def reads(self, entity: Entity | None, given: Mapping[str, Any]) -> frozenset[str] | None:
        """The columns of the record that its steps look at; None stands for all."""
        return columns_read(entity, given)

    def writes(self, entity: Entity | None, given: Mapping[str, Any]) -> tuple[str, ...]:
        """The resources its steps write, as scopes name them: `leads`."""
        return ()

    def creates(self, given: Mapping[str, Any]) -> tuple[Entity, ...]:
        """The entities that its steps create records of, which may be compared with what is stored."""
        return ()

    def prepare(self, steps: Sequence[Step]) -> None:
        """Read at once what `run` will ask for each of these steps, which are taken one after the other."""

    def values(self, step: Step) -> dict[str, Any]:
        """The parameters, rendered and clean. Raises InvalidError."""
        return params.render(self.params, step.given, step.subject.context)

    def run(self, step: Step) -> StepResult:
        """Do it, inside the step's transaction and without the network."""
        raise StepRefusedError(_("%(name)s cannot be run.") % {"name": self.name})

    def shown(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a step as its history shows them: as written, secrets left out."""
        return redacted(self, given)

    def preview(self, step: Step) -> dict[str, Any]:
        """What it would do: the rendered parameters, secrets left out. Writes nothing."""
        return redacted(self, {name: params_json(value) for name, value in self.values(step).items()})


def params_json(value: Any) -> Any:
    """A clean parameter as JSON."""
    if isinstance(value, Mapping):
        return {key: params_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [params_json(item) for item in value]
    plain = isinstance(value, str | int | float | bool | None) and not exceeds_64_bits(value)
    return value if plain else str(value)


MASK = "********"


def secret_places(action: Action, given: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """Where the secrets of an action's parameters stand: each as an object and a name in it."""
    for name in action.secrets:
        value = given.get(name)
        if isinstance(value, Mapping):
            yield from ((value, key) for key in value if str(key).lower() not in action.open_names)
        elif name in given:
            yield given, name


def redacted(action: Action, values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the values as history and previews show them."""
    copied = {name: dict(v) if isinstance(v, Mapping) else v for name, v in values.items()}
    for place, name in list(secret_places(action, copied)):
        place[name] = MASK if place[name] else place[name]
    return copied


class RecordAction(Action):
    """Base of actions that change the record itself, which all their steps lock together."""

    needs_record = True

    def writes(self, entity: Entity | None, given: Mapping[str, Any]) -> tuple[str, ...]:
        return (entity.plural,) if entity else ()

    def prepare(self, steps: Sequence[Step]) -> None:
        steps[0].subject.batch.lock()


actions: Registry[Action] = Registry("action")


def register(kind: type[Action]) -> type[Action]:
    """Class decorator: one instance under the action's name."""
    actions.register(kind.name, kind())
    return kind
