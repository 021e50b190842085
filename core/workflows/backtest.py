"""Backtests: how often a definition would have run over past changes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from core.accounts.models import User
from core.changes.models import Change
from core.changes.past_states import filter_past_states, states_after
from core.conditions import change_q, parse, record_q
from core.conditions.grammar import ChangedPredicate, fields_of
from core.entities import Entity
from core.entities.zones import record_zone, zone_among
from core.errors import ConflictError, ForbiddenError
from core.workflows import definition
from core.workflows.models import Workflow, WorkflowExecution
from core.workflows.preview import previewed, read_only
from core.workflows.readers import RunReader
from core.workflows.run_context import RunContext
from core.workflows.triggers import ChangeTrigger

MAX_DAYS = 90
# Changes looked at, newest first; the answer says when there were more.
MAX_CHANGES = 5_000
EXAMPLES = 10


def backtest(
    workflow: Workflow,
    given: Mapping[str, Any],
    user: User | None,
    days: int = 7,
    *,
    reader: RunReader,
    examples: int = EXAMPLES,
) -> dict[str, Any]:
    """Over the last `days` of changes: how many would have started a run, by day, on which records, and what
    the actions would have been for some. Conditions see each record as the change left
    it; days are those of the user's zone. Counted are records that `reader` sees.

    Raises ConflictError for a trigger that no change starts, ForbiddenError where the conditions look at what
    the reader may not see."""
    compiled = definition.compile_definition(given)
    if not isinstance(compiled.trigger, ChangeTrigger) or compiled.entity is None:
        raise ConflictError(_("Only workflows that a change starts can be tried on past changes."))
    if not reader.sees_condition(compiled.entity.name, None, compiled.conditions):
        raise ForbiddenError(_("The conditions look at fields that are hidden from you."))
    with read_only():
        changes = _candidates(compiled.trigger, compiled.entity, compiled.settings, days)
        kept = _met(compiled.entity, compiled.conditions, changes[:MAX_CHANGES], user, reader)
        shown = [_example(workflow, compiled, change, user, reader) for change in kept[:examples]]
        zone = zone_among(None, "", user)
    by_day = Counter(change.at.astimezone(zone).date().isoformat() for change in kept)
    return {
        "days": days,
        "changes": min(len(changes), MAX_CHANGES),
        "truncated": len(changes) > MAX_CHANGES,
        "runs": len(kept),
        "records": len({change.object_id for change in kept}),
        "by_day": dict(sorted(by_day.items())),
        "examples": shown,
    }


def _candidates(
    trigger: ChangeTrigger, entity: Entity, settings: Mapping[str, Any], days: int
) -> list[Change]:
    since = timezone.now() - timedelta(days=min(days, MAX_DAYS))
    rows = Change.objects.filter(trigger.q(entity, settings), entity=entity.name, at__gte=since)
    return list(rows.order_by("-id")[: MAX_CHANGES + 1])


def _met(
    entity: Entity, conditions: Any, changes: Sequence[Change], user: User | None, reader: RunReader
) -> list[Change]:
    """Those whose record, as the change left it, met the conditions and was visible to both."""
    policy = entity.model.policy
    wanted = policy.scope(user) if user is not None else Q()
    wanted &= Q() if reader.sees_all else policy.scope(reader.user)
    if conditions:
        condition = parse(entity.for_user(user), conditions, changes=True)
        if any(isinstance(leaf, ChangedPredicate) for leaf in fields_of(condition)):
            asked = Change.objects.filter(
                change_q(entity, condition, record_zone(), user=user), pk__in=[c.pk for c in changes]
            )
            kept = set(asked.values_list("pk", flat=True))
            changes = [change for change in changes if change.pk in kept]
        else:
            wanted &= record_q(condition, record_zone(), user=user)
    found = filter_past_states(entity, states_after(entity, changes), wanted)
    return [change for change in changes if change.pk in found]


def _example(
    workflow: Workflow, compiled: Any, change: Change, user: User | None, reader: RunReader
) -> dict[str, Any]:
    run = WorkflowExecution(
        workflow=workflow, entity=change.entity, object_id=change.object_id, change_id=change.pk, version_id=0
    )
    actions = previewed(compiled, RunContext(run, user, compiled.trigger.name), reader)
    return {"change_id": change.pk, "object_id": change.object_id, "at": change.at, "actions": actions}
