"""A step that kills the process it runs in, in real processes."""

import os
import signal
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from core.changes.dispatch import dispatch
from core.workflows import engine
from core.workflows.actions import Action, StepResult, actions
from core.workflows.limits import MAX_LOST_LEASES
from core.workflows.models import WorkflowExecution

pytestmark = pytest.mark.django_db(transaction=True)
HEALTHY = 100


@pytest.fixture
def deadly():
    """An action that ends the process with SIGKILL where the lead is called Poison."""

    class Deadly(Action):
        name = "deadly"

        def run(self, step):
            if step.record.first_name == "Poison":
                os.kill(os.getpid(), signal.SIGKILL)
            return StepResult({})

    actions.register("deadly", Deadly())
    yield
    del actions._items["deadly"]


def end_of_a_worker():
    """The exit code of a process that works off what is due: negative for the signal that killed it."""
    connections.close_all()
    child = os.fork()
    if not child:
        code = 1
        try:
            engine.run_due()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def expire_leases():
    WorkflowExecution.objects.filter(status="running").update(due_at=timezone.now() - timedelta(seconds=1))


def test_a_run_that_kills_ten_workers_is_dead_and_all_others_go_on(deadly, make_workflow, make_lead):
    make_workflow([("add_tag", {"tag": "seen"}), ("deadly", {}), ("add_tag", {"tag": "done"})])
    leads = [make_lead(first_name="Poison" if n == HEALTHY // 2 else f"L{n}") for n in range(HEALTHY + 1)]
    dispatch()
    ends = []
    while WorkflowExecution.objects.filter(status__in=["queued", "running"]).exists() and len(ends) < 30:
        ends.append(end_of_a_worker())
        expire_leases()

    # The first one's transaction held the step before the deadly one too, which began the count anew, unless
    # that transaction had used up its time: then it was stored before, and counts as one of the ten.
    *killed, last = ends
    assert last == 0
    assert killed in ([-signal.SIGKILL] * n for n in (MAX_LOST_LEASES, 1 + MAX_LOST_LEASES))
    poison = leads.pop(HEALTHY // 2)
    dead = WorkflowExecution.objects.get(object_id=poison.pk)
    assert (dead.status, dead.error_code) == ("dead", "worker_lost")
    steps = [(step.type, step.status) for step in dead.steps.order_by("id")]
    assert steps == [("add_tag", "completed"), ("deadly", "failed")]
    rest = WorkflowExecution.objects.exclude(pk=dead.pk)
    assert list(rest.values_list("status", flat=True)) == ["completed"] * HEALTHY
    for lead in leads:
        lead.refresh_from_db()
        assert lead.tags == ["seen", "done"]
