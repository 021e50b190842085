"""What users and teams have won and expect within a period, beside their goals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Case, CharField, Count, QuerySet, Sum, Value, When

from core.access import Role, role_of
from core.accounts.models import Team
from core.models.money import rounded
from core.reports.funnel import share
from core.reports.models import Goal
from core.reports.periods import DateRange
from core.reports.reported import WON, ForecastColumns, ReportedEntity

COMMIT, BEST_CASE, PIPELINE = "commit", "best_case", "pipeline"
SUMS = (WON, COMMIT, BEST_CASE, PIPELINE)
# What each kind of expectation counts in: what is won is part of all of them.
_PART_OF = {WON: SUMS, COMMIT: SUMS[1:], BEST_CASE: SUMS[2:], PIPELINE: SUMS[3:]}


class Expected:
    """What somebody has won and expects, by currency."""

    def __init__(self) -> None:
        self.won_count = 0
        self.sums: dict[str, dict[str, Decimal]] = {}

    def add(self, kind: str, currency: str, count: int, value: Decimal | None) -> None:
        """Add records of one kind and currency."""
        if kind == WON:
            self.won_count += count
        if value is not None:
            own = self.sums.setdefault(currency, dict.fromkeys(SUMS, Decimal(0)))
            for name in _PART_OF[kind]:
                own[name] += value

    def shown(self) -> dict[str, Any]:
        return {
            "won_count": self.won_count,
            "by_currency": {
                currency: {name: rounded(value, currency) for name, value in sums.items()}
                for currency, sums in sorted(self.sums.items())
            },
        }

    def towards(self, goal: Goal) -> dict[str, Any]:
        """A goal, and how far it is attained."""
        is_count = goal.metric == Goal.Metric.COUNT
        won = self.sums.get(goal.currency, {}).get(WON, Decimal(0))
        attained = Decimal(self.won_count) if is_count else rounded(won, goal.currency)
        return {
            "id": goal.pk,
            "metric": goal.metric,
            "currency": goal.currency,
            "target": goal.whole_target,
            "attained": attained,
            "share": share(attained, goal.target),
        }


@dataclass(frozen=True)
class AttainmentQuery:
    """Whose forecasts are asked for: those of the records, and whoever has a goal that the user may read."""

    reported: ReportedEntity
    forecast: ForecastColumns
    rows: QuerySet
    user: Any
    period: str
    days: DateRange


def attainment(asked: AttainmentQuery) -> dict[str, Any]:
    """A row for each user and, for whoever sees a team, each team with those below it."""
    goals = list(
        Goal.objects.visible_to(asked.user).filter(period=asked.period, start=asked.days.start).order_by("id")
    )
    found = list(_counted(asked))
    sees_teams = role_of(asked.user) != Role.REP
    users = _users({row[0] for row in found} | {goal.user_id for goal in goals})
    rows = [*_of_users(users, found, goals), *(_of_teams(users, found, goals) if sees_teams else ())]
    return {"rows": rows}


def _counted(asked: AttainmentQuery) -> Iterable[tuple[Any, ...]]:
    """(owner, kind, currency, records, their worth) of what is won or expected on the days."""
    forecast, reported = asked.forecast, asked.reported
    kind = Case(
        When(reported.won, then=Value(WON)),
        When(forecast.commit, then=Value(COMMIT)),
        When(forecast.best_case, then=Value(BEST_CASE)),
        default=Value(PIPELINE),
        output_field=CharField(),
    )
    dated = asked.rows.exclude(reported.lost).exclude(forecast.omitted).annotate(report_day=forecast.day)
    within = dated.filter(report_day__gte=asked.days.start, report_day__lte=asked.days.end)
    grouped = within.annotate(report_kind=kind).order_by().values_list("owner", "report_kind", "currency")
    return grouped.annotate(Count("pk"), Sum(reported.amount))


def _users(ids: set[int | None]) -> dict[int, Any]:
    return get_user_model().objects.in_bulk([pk for pk in ids if pk is not None])


def _of_users(users: Mapping[int, Any], found: Iterable[Any], goals: Iterable[Goal]) -> list[dict[str, Any]]:
    by_user = {pk: Expected() for pk in sorted(users, key=lambda pk: (users[pk].get_full_name(), pk))}
    nobodys = Expected()
    for owner, *figures in found:
        by_user.get(owner, nobodys).add(*figures)
    rows = [
        _row(expected, (g for g in goals if g.user_id == pk), user=pk, label=users[pk].get_full_name())
        for pk, expected in by_user.items()
    ]
    return [*rows, _row(nobodys, (), label="")] if nobodys.won_count or nobodys.sums else rows


def _of_teams(users: Mapping[int, Any], found: Iterable[Any], goals: Iterable[Goal]) -> list[dict[str, Any]]:
    """What the members of each team and of those below it have, of teams that have anything or a goal."""
    teams = Team.objects.in_bulk()
    by_team: dict[int, Expected] = {goal.team_id: Expected() for goal in goals if goal.team_id}
    for owner, *figures in found:
        for team in _upwards(teams, users[owner].team_id if owner in users else None):
            by_team.setdefault(team, Expected()).add(*figures)
    return [
        _row(by_team[pk], (g for g in goals if g.team_id == pk), team=pk, label=teams[pk].name)
        for pk in sorted(by_team, key=lambda pk: (teams[pk].name, pk))
    ]


def _upwards(teams: Mapping[int, Team], team_id: int | None) -> Iterable[int]:
    """A team and those above it."""
    while team_id is not None:
        yield team_id
        team_id = teams[team_id].parent_id


def _row(
    expected: Expected, goals: Iterable[Goal], *, label: str, user: int | None = None, team: int | None = None
) -> dict[str, Any]:
    return {
        "user": user,
        "team": team,
        "label": label,
        **expected.shown(),
        "goals": [expected.towards(goal) for goal in goals],
    }
