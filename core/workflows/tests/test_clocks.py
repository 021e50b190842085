"""A worker whose clock is a day fast or an hour slow: what is due is due by the database's clock."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from core.clock import database_now
from core.retry import STEP
from core.workflows.actions import Action, actions
from core.workflows.actions.base import TemporaryError

pytestmark = pytest.mark.django_db


@pytest.fixture
def flaky():
    class Flaky(Action):
        name = "flaky"

        def run(self, step):
            raise TemporaryError("not now")

    actions.register("flaky", Flaky())
    yield
    del actions._items["flaky"]


@pytest.mark.parametrize("shift", [timedelta(days=1), timedelta(hours=-1), timedelta(days=-1)])
def test_waits_and_retries_are_neither_early_nor_late(make_workflow, make_lead, settle, flaky, shift):
    make_workflow([("wait", {"hours": 2}), ("add_tag", {"tag": "seen"})])
    make_workflow([("flaky", {})])
    lead = make_lead()
    with time_machine.travel(timezone.now() + shift):
        waiting, retried = settle()
    now, slack = database_now(), timedelta(minutes=5)
    assert [waiting.status, retried.status] == ["waiting", "waiting"]
    assert timedelta(hours=2) - slack < waiting.due_at - now <= timedelta(hours=2)
    assert retried.attempt == 1
    assert -slack < retried.due_at - now <= STEP.delay(1) * 2
    lead.refresh_from_db()
    assert lead.tags == []
