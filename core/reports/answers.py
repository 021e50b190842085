"""Each report from what was asked for, for the API and the admin site alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from core.access import scopes
from core.activities.models import Activity
from core.changes.archived import require_kept
from core.conditions.list_query import joined, list_query
from core.conf import reading_database
from core.entities.field_types import BIGINT_MAX, Integer
from core.errors import InvalidError, refused_as
from core.reports import activity, attainment, funnel, pipeline, trend, velocity, win_loss
from core.reports.dimensions import dimensions_named
from core.reports.periods import DateRange, PeriodSeries
from core.reports.reported import ReportedEntity


@dataclass(frozen=True)
class Asked:
    """What a report is asked: its own parameters, checked, and those that filter as the list does."""

    own: Mapping[str, Any]
    filters: Mapping[str, list[str]]
    user: Any

    @property
    def reported(self) -> ReportedEntity:
        return self.own["entity"]

    @property
    def zone(self) -> ZoneInfo:
        return self.user.zone

    @property
    def range(self) -> DateRange:
        return self.own["range"]

    def rows(self, filters: Mapping[str, list[str]] | None = None) -> Any:
        """The records that the filters name and the user may see, from the replica where there is one. Raises
        InvalidError, or ScopeMissingError where their key may not read them."""
        entity = self.reported.definition
        scopes.require(self.user, entity.plural)
        found = list_query(entity, self.filters if filters is None else filters, self.user)
        return found.rows.order_by().using(reading_database())

    def scope(self) -> int | None:
        """The scope named (a pipeline), if any. Raises InvalidError."""
        named = self.reported.scope
        if not named or named.parameter not in self.filters:
            return None
        with refused_as(named.parameter):
            return Integer(min_value=1, max_value=BIGINT_MAX).to_internal_value(
                joined(self.filters, named.parameter)
            )

    def one_way(self) -> tuple[Any, Any]:
        """The records of one scope, the default one where none is named, and its steps."""
        rows, named = self.rows(), self.reported.scope
        if named is None:
            return rows, self.reported.steps(None)
        scope = self.scope() or named.default()
        return rows.filter(**{named.column: scope}), self.reported.steps(scope)

    def made(self) -> Any:
        """Those of the records that were made on the days of the range."""
        first, behind = self.range.moments(self.zone)
        return self.rows().filter(created_at__gte=first, created_at__lt=behind)

    def within(self) -> dict[str, Any]:
        """What reports about an entity over a range say about both."""
        return {"entity": self.reported.entity, **self.days()}

    def days(self) -> dict[str, Any]:
        """What reports say about their range."""
        return {
            "start": self.range.start,
            "end": self.range.end,
            "time_zone": self.zone.key,
        }


def trend_report(asked: Asked) -> dict[str, Any]:
    """Created, won and lost by day, week, month or quarter, compared with the period before."""
    reported = asked.reported
    query = trend.TrendQuery(
        reported,
        PeriodSeries(asked.range, asked.own["period"]),
        dimensions_named(reported, asked.own.get("group_by", []), asked.user),
        asked.zone,
    )
    return asked.within() | trend.trend(query, asked.rows())


def funnel_report(asked: Asked) -> dict[str, Any]:
    """How far the records created within a range came, and how long that took."""
    rows, steps = asked.one_way()
    first, behind = asked.range.moments(asked.zone)
    made = rows.filter(created_at__gte=first, created_at__lt=behind)
    return asked.within() | funnel.funnel(asked.reported, made, steps)


def velocity_report(asked: Asked) -> dict[str, Any]:
    """How long records stay in each step."""
    rows, steps = asked.one_way()
    return asked.within() | velocity.velocity(asked.reported, rows, steps, asked.range.moments(asked.zone))


def win_loss_report(asked: Asked) -> dict[str, Any]:
    """What was won and lost within a range, by reason or by source."""
    found = win_loss.win_loss(asked.reported, asked.rows(), asked.range, asked.zone, asked.own["by"])
    return asked.within() | found


def as_of_report(asked: Asked) -> dict[str, Any]:
    """What was open at the end of a past day, by step."""
    day = asked.own["date"]
    moment = DateRange(day, day).moments(asked.zone)[1]
    require_kept(moment, "date")
    steps = asked.reported.steps(asked.scope())
    head = {"entity": asked.reported.entity, "date": day, "time_zone": asked.zone.key}
    return head | pipeline.as_of(_pipeline(asked), moment, steps)


def waterfall_report(asked: Asked) -> dict[str, Any]:
    """What became of open amounts between two dates, in parts that add up."""
    first, behind = asked.range.moments(asked.zone)
    require_kept(first, "start")
    return asked.within() | pipeline.waterfall(_pipeline(asked), first, behind)


def forecast_report(asked: Asked) -> dict[str, Any]:
    """What each user and team has won and expects within a month or quarter, beside their goals."""
    scopes.require(asked.user, "goals", "users", "teams")
    forecast = asked.reported.forecast
    if forecast is None:
        raise InvalidError.of("entity", _("Nothing is expected of it."), "invalid_choice")
    query = attainment.AttainmentQuery(
        asked.reported, forecast, asked.rows(), asked.user, asked.own["period"], asked.range
    )
    return asked.within() | {"period": asked.own["period"]} | attainment.attainment(query)


def activity_report(asked: Asked) -> dict[str, Any]:
    """How many activities of each type each user logged."""
    scopes.require(asked.user, "activities", "users")
    first, behind = asked.range.moments(asked.zone)
    seen = Activity.objects.visible_to(asked.user).using(reading_database())
    return asked.days() | activity.activity_by_user(
        seen.filter(happened_at__gte=first, happened_at__lt=behind)
    )


def response_time_report(asked: Asked) -> dict[str, Any]:
    """How long after their creation records had their first activity."""
    scopes.require(asked.user, "activities", "users")
    return asked.within() | activity.response_time(asked.reported, asked.made())


def cohort_report(asked: Asked) -> dict[str, Any]:
    """How many of the records created in each month were won by the end of each later month."""
    return asked.within() | activity.cohorts(asked.reported, asked.made(), asked.range, asked.zone)


def _pipeline(asked: Asked) -> pipeline.PipelineQuery:
    """Open amounts of the past: the scope is that of the past too, and what is archived now may have been
    open."""
    reported = asked.reported
    scope = asked.scope()
    past = reported.past
    if past is None:
        raise InvalidError.of("entity", _("Its past amounts are not known."), "invalid_choice")
    filters = {name: texts for name, texts in asked.filters.items() if name not in reported.parameters}
    rows = asked.rows({"archived": ["any"], **filters})
    return pipeline.PipelineQuery(
        reported, past, rows, scope, asked.own.get("due_from"), asked.own.get("due_until")
    )
