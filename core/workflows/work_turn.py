"""One turn of what automation has to do inside the house, and how far behind it is."""

from django.db import connection

from core.changes.dispatch import dispatch
from core.changes.outbox_sql import oldest_age_s
from core.jobs import Turn
from core.standalone_runner import Stopped
from core.workflows import claiming, engine, sweeps


def lag() -> dict[str, float | int]:
    """How far behind automation is: ages in seconds of what waits longest, and how much needs a person."""
    with connection.cursor() as cursor:
        cursor.execute(_TROUBLE)
        expired, dead = cursor.fetchone()
    return {
        "oldest_due_step_s": round(claiming.oldest_due_s(), 1),
        "oldest_undispatched_change_s": round(oldest_age_s(), 1),
        "expired_leases": expired,
        "dead_runs": dead,
    }


_TROUBLE = """
SELECT (SELECT count(*) FROM core_workflowexecution
        WHERE status = 'running' AND due_at < clock_timestamp()),
       (SELECT count(*) FROM core_workflowexecution
        WHERE status = 'dead')
"""


def work_turn(stopped: Stopped = lambda: False) -> int:
    """Start what dates ask for, feed changes to consumers, take steps, all within one turn; returns how much
    there was to do."""
    turn = Turn(stopped=stopped)
    started = sweeps.sweep(turn) + dispatch(turn=turn)
    return started + engine.run_due(turn.left_s, stopped)
