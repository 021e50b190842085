"""Celery tasks of imports and exports."""

from celery import shared_task
from django.db import OperationalError

from core.jobs import Turn
from core.transfer import drafts, export_jobs, stray_files
from core.transfer import running as importing

# Hours, not the minutes of other tasks. The message is gone once it is taken: what restarts a job whose
# worker died is the sweep, which sees that nobody holds its lock.
LONG = {"acks_late": False, "time_limit": 6 * 3600, "soft_time_limit": 6 * 3600 - 60}


@shared_task(name="core.tasks.run_import", **LONG)
def run_import(job_id: int) -> str:
    """Run an import or the undoing of one."""
    try:
        return importing.run_job(job_id)
    except OperationalError:
        raise  # the database went away: the job stays open and the sweep enqueues it again
    except Exception as error:  # noqa: BLE001  (the worker's outermost edge, which records it)
        importing.fail(job_id, error)
        return "failed"


@shared_task(name="core.tasks.run_export", **LONG)
def run_export(job_id: int) -> str:
    """Write an export's file."""
    try:
        return export_jobs.run_job(job_id)
    except OperationalError:
        raise
    except Exception as error:  # noqa: BLE001  (the worker's outermost edge, which records it)
        export_jobs.fail(job_id, error)
        return "failed"


@shared_task(name="core.tasks.sweep_transfers")
def sweep_transfers() -> int:
    """Enqueue again imports and exports that nobody works on; delete exports that expired, and uploads that
    nobody came back to."""
    drafts.forget_old()
    return importing.sweep() + export_jobs.sweep()


@shared_task(name="core.tasks.forget_stray_files")
def forget_stray_files() -> int:
    """Delete files of imports and exports whose job was never committed, or is done with them."""
    turn = Turn()
    deleted = stray_files.forget(lambda: turn.is_over)
    turn.go_on("core.tasks.forget_stray_files")
    return deleted


@shared_task(name="core.tasks.forget_import_rows")
def forget_import_rows() -> int:
    """Delete the faulty rows of imports that are past undoing."""
    turn = Turn()
    deleted = importing.forget_old(turn)
    turn.go_on("core.tasks.forget_import_rows")
    return deleted
