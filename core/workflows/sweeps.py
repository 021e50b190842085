"""Runs that time itself starts: ticks of schedules, and dates of records that are reached.

A workflow's `swept_until` is how far it has been swept; its row is locked while it is moved on, and
every tick and date has its own key, so any number of sweepers start each run once.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext

from core import jobs
from core.clock import database_now
from core.conditions import parse, record_q
from core.entities import Entity, entities, field_types
from core.entities.zones import record_zone
from core.errors import InvalidError
from core.jobs import Turn
from core.workflows import definition, operations
from core.workflows.alerts import alert
from core.workflows.definition import Compiled
from core.workflows.field_types import ClockTime
from core.workflows.matching import RUN_JOB
from core.workflows.models import Workflow, WorkflowVersion
from core.workflows.starting import Priority, start
from core.workflows.triggers import DateTrigger, triggers
from core.workflows.triggers.schedule_triggers import ScheduleTrigger


def sweep(turn: Turn | None = None) -> int:
    """Start what schedules and dates ask for up to now, until the `turn` is over, and release runs that
    were held for a principal who is active again; returns the number of runs."""
    started = operations.release_runs_of_reactivated()
    _alert_of_unknown_models()
    for workflow_id in _timed_workflows():
        if turn and turn.is_over:
            break
        with transaction.atomic():
            started += _sweep_one(workflow_id)
    if started:
        jobs.enqueue(RUN_JOB)
    return started


def _alert_of_unknown_models() -> None:
    """Alert of active workflows about a model that does not exist: they start nothing."""
    rows = Workflow.objects.filter(status=Workflow.Status.ACTIVE, archived_at=None)
    for workflow in rows.exclude(entity__in=("", *entities.keys())):
        known = ", ".join(entities.keys())
        alert(
            workflow,
            f"Workflow broken: {workflow.name}",
            f"There is no model {workflow.entity!r}. Known: {known}.",
        )


def _timed_workflows() -> list[int]:
    """Those that were not looked at for the longest first: a turn that ends early begins elsewhere next."""
    rows = Workflow.objects.filter(status=Workflow.Status.ACTIVE, archived_at=None)
    timed = rows.filter(trigger_type__in=_timed_triggers()).order_by("swept_until", "id")
    return list(timed.values_list("pk", flat=True))


def _timed_triggers() -> list[str]:
    return [t.name for t in triggers if isinstance(t, DateTrigger | ScheduleTrigger)]


def _sweep_one(workflow_id: int) -> int:
    """One workflow, if no other sweeper is at it."""
    rows = Workflow.objects.select_for_update(skip_locked=True, of=("self",)).select_related("run_as")
    workflow = rows.filter(pk=workflow_id, status=Workflow.Status.ACTIVE, archived_at=None).first()
    if workflow is None:
        return 0
    version = WorkflowVersion.objects.get(workflow_id=workflow_id, number=F("workflow__version"))
    now = database_now()
    try:
        compiled = definition.compiled(version.pk)
        started = _start(workflow, version, compiled, workflow.swept_until, now)
    except (InvalidError, LookupError) as error:
        alert(workflow, f"Workflow broken: {workflow.name}", str(error))
        started = 0
    Workflow.objects.filter(pk=workflow_id).update(swept_until=now)
    return started


def _start(
    workflow: Workflow, version: WorkflowVersion, compiled: Compiled, since: datetime, now: datetime
) -> int:
    if isinstance(compiled.trigger, ScheduleTrigger):
        schedule = compiled.trigger.schedule(compiled.settings)
        ticks = schedule.missed(since, now, str(compiled.settings.get("catch_up") or "one"))
        return sum(_start_tick(workflow, version, compiled, tick) for tick in ticks)
    if compiled.entity is None or not isinstance(compiled.trigger, DateTrigger):
        raise InvalidError.of("trigger_conditions.model", gettext("This trigger needs a model."), "required")
    return _start_dates(workflow, version, compiled, since, now)


def _start_tick(workflow: Workflow, version: WorkflowVersion, compiled: Compiled, tick: datetime) -> int:
    """One tick: a run for each matching record, or one without a record."""
    stamp = tick.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
    if compiled.entity is None:
        data = {"scheduled_for": tick.isoformat()}
        _, made = start(workflow, f"tick:{stamp}", priority=Priority.EVENT, data=data)
        return int(made)
    rows = matching_records(compiled.entity, workflow, compiled.conditions, compiled.schedule_zone).filter(
        archived_at=None
    )
    sql, parameters = rows.order_by().values_list("pk").query.sql_with_params()
    ids = f"SELECT wanted.id, '' FROM ({sql}) AS wanted(id)"  # noqa: S608
    return _insert(version, compiled.entity, f"tick:{stamp}:", Priority.BULK, ids, parameters)


def matching_records(
    entity: Entity, workflow: Workflow, conditions: Any, schedule_zone: str = ""
) -> QuerySet:
    """Records that the workflow's principal sees and that meet its conditions."""
    rows = entity.model.objects.all()
    if workflow.run_as is not None:
        workflow.run_as.is_active = True
        rows = entity.visible_to(workflow.run_as)
    if not conditions:
        return rows
    condition = parse(entity.for_user(workflow.run_as), conditions)
    return rows.filter(record_q(condition, record_zone(schedule_zone), user=workflow.run_as))


_INSERT = """
INSERT INTO core_workflowexecution (workflow_id, version_id, event_key, entity, object_id, priority, due_at)
SELECT %s, %s, %s || found.id || found.suffix, %s, found.id, %s, clock_timestamp()
FROM ({rows}) AS found(id, suffix)
ON CONFLICT (workflow_id, event_key) DO NOTHING
"""


def _insert(
    version: WorkflowVersion, entity: Entity, prefix: str, priority: int, rows: str, parameters: Any
) -> int:
    """A run for each row of a query that gives ids and the ends of keys: one statement for any number."""
    given = [version.workflow_id, version.pk, prefix, entity.name, priority, *parameters]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT.format(rows=rows), given)
        return cursor.rowcount


_DATES = """
SELECT r.id, ':' || to_char({moment} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
FROM ({rows}) AS wanted(id) JOIN {table} r ON r.id = wanted.id
LEFT JOIN core_user assignee ON assignee.id = r.assigned_to_id
LEFT JOIN core_user owner ON owner.id = r.owner_id
WHERE {moment} > %s AND {moment} <= %s
"""


def _start_dates(
    workflow: Workflow, version: WorkflowVersion, compiled: Compiled, since: datetime, now: datetime
) -> int:
    """Records whose date, moved by the offset, lies in (since, now]. A date without a time, and days before
    or after one, are meant in the zone of whom the record is assigned to, else of its owner."""
    trigger: Any = compiled.trigger
    entity: Any = compiled.entity
    column = trigger.column(entity, compiled.settings)
    if column is None:
        raise InvalidError.of("field", gettext("The date field is no more."))
    days, clock = trigger.offset(compiled.settings)
    shift = timedelta(days=days) + clock
    near = _near(column, since - shift, now - shift)
    rows = matching_records(entity, workflow, compiled.conditions).filter(
        trigger.rows & near, archived_at=None
    )
    sql, parameters = rows.order_by().values_list("pk").query.sql_with_params()
    table = connection.ops.quote_name(entity.model._meta.db_table)
    moment = _moment(column, compiled.settings.get("at"), days, clock)
    dates = _DATES.format(moment=moment, rows=sql, table=table)
    return _insert(version, entity, "date:", Priority.EVENT, dates, [*parameters, since, now])


def _near(column: Any, low: datetime, high: datetime) -> Q:
    """Narrows by the column's index; a date may be a day off either way until its zone is known, a moment by
    the hour that its clocks are put forward or back."""
    day = timedelta(days=1)
    if isinstance(column.field_type, field_types.DateTime):
        return Q(**{f"{column.path}__gt": low - day, f"{column.path}__lte": high + day})
    return Q(
        **{f"{column.path}__gte": (low - 2 * day).date(), f"{column.path}__lte": (high + 2 * day).date()}
    )


def _moment(column: Any, at: Any, days: int, clock: timedelta) -> str:
    """SQL of the moment a row stands for. Built from checked numbers and the registry's column only."""
    field = f"r.{connection.ops.quote_name(column.path)}"
    zone = f"coalesce(assignee.time_zone, owner.time_zone, '{ZoneInfo(settings.TIME_ZONE).key}')"
    local = f"({field} AT TIME ZONE {zone})"
    if not isinstance(column.field_type, field_types.DateTime):
        hour: time = ClockTime().to_internal_value(at) if at else time(0)
        local = f"({field} + time '{hour:%H:%M}')"
    elif not days:
        # By way of local time the hour that comes twice would be lost.
        return f"({field} + make_interval(secs => {clock.total_seconds():.0f}))"
    day = f"(({local} + make_interval(days => {days})) AT TIME ZONE {zone})"
    return f"({day} + make_interval(secs => {clock.total_seconds():.0f}))"
