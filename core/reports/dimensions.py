"""What figures are grouped by: a choice column, the owner, the owner's team, the source."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import F

from core.access import scopes
from core.accounts.models import Team
from core.entities.custom import schema
from core.entities.field_types import Choice
from core.errors import InvalidError
from core.reports.reported import ReportedEntity

MOST = 2
OWNER, ASSIGNEE, TEAM, SOURCE = "owner", "assigned_to", "team", "source"
Labels = Callable[[Collection[Any]], dict[Any, str]]


@dataclass(frozen=True)
class Dimension:
    """One thing to group by: its name, what it is read from, and what its values are called."""

    name: str
    expression: Any
    labels: Labels

    def shown(self, value: Any, labels: dict[Any, str]) -> dict[str, Any]:
        """A value of it as reports show it; null where there is none."""
        empty = value is None or value == ""
        return {
            "field": self.name,
            "value": None if empty else str(value),
            "label": "" if empty else labels.get(value, str(value)),
        }


def _people(ids: Collection[Any]) -> dict[Any, str]:
    found = get_user_model().objects.filter(pk__in=[pk for pk in ids if pk is not None])
    return {user.pk: user.get_full_name() for user in found}


def _teams(ids: Collection[Any]) -> dict[Any, str]:
    return dict(Team.objects.filter(pk__in=[pk for pk in ids if pk is not None]).values_list("pk", "name"))


def _as_written(values: Collection[Any]) -> dict[Any, str]:
    return {value: str(value) for value in values}


def dimensions_named(reported: ReportedEntity, names: Sequence[str], user: Any) -> list[Dimension]:
    """The dimensions of these names. Raises InvalidError, or ScopeMissingError where the key of `user` may
    not read who somebody is."""
    if len(names) > MOST:
        raise InvalidError.of("group_by", f"At most {MOST} names.", "too_many")
    if len(set(names)) < len(names):
        raise InvalidError.of("group_by", "Each name once.", "duplicate")
    found = [_dimension(reported, name) for name in names]
    read = {OWNER: "users", ASSIGNEE: "users", TEAM: "teams"}
    scopes.require(user, *(read[name] for name in names if name in read))
    return found


def _dimension(reported: ReportedEntity, name: str) -> Dimension:
    if name == OWNER:
        return Dimension(name, F("owner_id"), _people)
    if name == ASSIGNEE:
        return Dimension(name, F("assigned_to_id"), _people)
    if name == TEAM:
        return Dimension(name, F("owner__team_id"), _teams)
    if name in (SOURCE, reported.source_column):
        return Dimension(name, F(reported.source_column), _as_written)
    if name == reported.step_column:
        return Dimension(name, F(name), _as_written)
    columns = schema(reported.definition, names=[name])
    column = columns.get(name)
    if column is None or not isinstance(column.field_type, Choice):
        raise InvalidError.of("group_by", f"Unknown. Known: {', '.join(_known(reported))}.", "invalid_choice")
    return Dimension(name, column.target, _as_written)


def _known(reported: ReportedEntity) -> list[str]:
    columns = schema(reported.definition)
    choices = [name for name, column in columns.items() if isinstance(column.field_type, Choice)]
    return list(dict.fromkeys((OWNER, ASSIGNEE, TEAM, SOURCE, reported.step_column, *choices)))
