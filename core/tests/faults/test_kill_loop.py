"""Every process and PostgreSQL itself killed again and again under load; nothing lost, effects once.

`CRM_TEST_KILL_SECONDS` says how long it is killed (30 by default, 60 for the whole promise).
"""

import os
import threading
import time
from collections import Counter
from contextlib import suppress
from http.client import HTTPException
from itertools import count, cycle

import psycopg
import pytest

from core.tests.faults.cluster import await_true

KILL_S = float(os.environ.get("CRM_TEST_KILL_SECONDS", "30"))
# What is killed, in turn, when it is at work.
VICTIMS = ("worker", "postgres", "automation", "web", "worker's child", "postgres", "beat", "worker alone")
AWAIT_WORK_S = 4
PAUSE_S = 0.25
DRAIN_S = 150
# Answers to a request that was not taken: the client asks again, under the same key.
AGAIN = {0, 409, 500, 502, 503}


class Client(threading.Thread):
    """Makes leads until told to end. What was not acknowledged is asked again so that it cannot come twice:
    the ledger holds what there must be, no lead less and none more."""

    def __init__(self, found, name):
        super().__init__(daemon=True, name=name)
        self.found, self.ended = found, threading.Event()
        self.ledger, self.answers = {}, Counter()

    def run(self):
        for number in count():
            if self.ended.wait(PAUSE_S):
                return
            while (pk := self.make(f"{self.name}{number}")) is None:
                time.sleep(0.2)
            self.ledger[f"{self.name}{number}"] = pk


class Caller(Client):
    """Over the API: an Idempotency-Key makes asking again harmless."""

    def make(self, name):
        body = {"first_name": name, "email": f"{name}@x.example"}
        try:
            status, answer = self.found.call("POST", "/api/v1/leads/", body, Idempotency_Key=f"key-{name}")
        except (OSError, HTTPException):
            status, answer = 0, {}
        self.answers[status] += 1
        assert status in {201, *AGAIN}, answer
        return answer["id"] if status == 201 else None


WRITTEN_ONCE = """
WITH made AS (
    INSERT INTO lead_management_lead (first_name, email) SELECT '{0}', '{0}@x.example'
    WHERE NOT EXISTS (SELECT 1 FROM lead_management_lead WHERE first_name = '{0}') RETURNING id
)
SELECT id FROM made UNION ALL SELECT id FROM lead_management_lead WHERE first_name = '{0}'
"""


class Writer(Client):
    """Plain SQL: whether the last attempt was committed is looked up before the next."""

    def make(self, name):
        try:
            rows = self.found.rows(WRITTEN_ONCE.format(name))
        except psycopg.OperationalError:
            self.answers["away"] += 1
            return None
        return rows[0][0]


def actions(found):
    call = {"url": found.peer.url(), "body": {"who": "{{ lead.email }}"}}
    return [
        ("add_tag", {"tag": "one"}),
        ("add_comment", {"body": "two of {{ lead.email }}"}),
        ("wait", {"seconds": 1}),
        ("create_task", {"title": "three of {{ lead.email }}", "due_days": 1}),
        ("send_email", {"subject": "four", "body": "x", "to": "{{ lead.email }}"}),
        ("webhook", call),
        ("send_notification", {"message": "six of {{ lead.email }}", "to": "principal"}),
    ]


# Each counts what is there and how many leads it belongs to.
EFFECTS = (
    "SELECT count(*), count(DISTINCT object_id) FROM core_comment WHERE body LIKE 'two%'",
    "SELECT count(*), count(DISTINCT lead_id) FROM tasks_task WHERE title LIKE 'three%'",
    "SELECT count(*), count(DISTINCT object_id) FROM core_emailmessage",
    "SELECT count(*), count(DISTINCT object_id) FROM core_webhookdelivery",
    # Messages of one step become one line that counts them.
    "SELECT sum(count), sum(count) FROM core_notification WHERE type = 'workflow'",
    # A change caused by a run starts the next run, once.
    "SELECT count(*), count(DISTINCT object_id) FROM core_comment WHERE body LIKE 'chained%'",
    "SELECT count(*), count(DISTINCT object_id) FROM core_change WHERE entity = 'lead' AND changes ? 'tags'",
)


@pytest.mark.timeout(int(KILL_S) + DRAIN_S + 240)
def test_everything_is_killed_under_load_and_nothing_is_lost_or_done_twice(whole):
    found = whole
    found.add_workflow("Chaos", actions(found))
    found.add_workflow("Chain", [("add_comment", {"body": "chained to {{ task.title }}"})], model="task")
    found.ensure("worker", "beat", "automation")
    await_true(lambda: "ready" in found.log("worker"), 90, "the worker runs")
    clients = [Caller(found, "api"), Writer(found, "sql")]
    for client in clients:
        client.start()
    kill_in_turn(found)
    found.ensure(*EVERYTHING)
    for client in clients:
        client.ended.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive()
    ledger = {name: pk for client in clients for name, pk in client.ledger.items()}
    try:
        await_true(lambda: settled(found, len(ledger)), DRAIN_S, "all runs, mails and calls", pause=0.5)
    finally:
        answers = {client.name: dict(client.answers) for client in clients}
        # Shown with -s: what was measured.
        print(f"\n{len(ledger)} leads; {answers}; kills {dict(found.kills)}; {found.states()[:5]}")  # noqa: T201
    assert all(len(client.ledger) > 1 for client in clients)
    check(found, ledger)


EVERYTHING = ("web", "worker", "beat", "automation")


def kill_in_turn(found):
    """Until the time is up; everything killed is started again at once, PostgreSQL after its recovery."""
    until, victims = time.monotonic() + KILL_S, cycle(VICTIMS)
    while time.monotonic() < until:
        victim = next(victims)
        with suppress(AssertionError):
            await_true(lambda victim=victim: is_at_work(found, victim), AWAIT_WORK_S, victim, 0.02)
        with suppress(psycopg.OperationalError):
            kill(found, victim)
        found.ensure(*EVERYTHING)
        found.flush_valkey()


def is_at_work(found, victim):
    if victim in ("web", "beat"):
        return victim == "beat" or found.answers()
    if victim == "postgres":
        return found.at_work("worker") or found.at_work("automation")
    return found.at_work(victim.split("'")[0].split(" ")[0])


def kill(found, victim):
    if victim == "postgres":
        found.kill_postgres()
    elif victim == "worker's child":
        found.kill_child("worker")
    elif victim == "worker alone":
        found.kill("worker", whole=False)
    else:
        found.kill(victim)


def settled(found, leads):
    """Every run has ended and what they sent has gone out."""
    waiting = (
        "SELECT count(*) FROM core_emailmessage WHERE status = 'queued' UNION ALL"
        " SELECT count(*) FROM core_webhookdelivery WHERE status IN ('queued', 'sending') UNION ALL"
        " SELECT count(*) FROM core_outbox"
    )
    return found.ended(leads * 2) and all(row == (0,) for row in found.rows(waiting))


def check(found, ledger):
    leads = len(ledger)
    assert set(found.kills) >= {"postgres", "web", "worker", "automation", "beat"}
    assert leads > KILL_S, "there was load"
    stored = dict(found.rows("SELECT id, first_name FROM lead_management_lead"))
    assert stored == {pk: name for name, pk in ledger.items()}
    for counted in EFFECTS:
        assert found.rows(counted) == [(leads, leads)], counted
    check_history(found, leads)
    # Outside at least once, and each repetition under the key it had before.
    mails = {f"<{key}@127.0.0.1>" for (key,) in found.rows("SELECT key FROM core_emailmessage")}
    assert set(found.mailbox.received) >= mails
    calls = {key for (key,) in found.rows("SELECT key FROM core_webhookdelivery")}
    assert {request.headers["webhook-id"] for request in found.peer.requests} == calls
    again = (sum(found.mailbox.received.values()) - leads, len(found.peer.requests) - leads)
    print(f"sent again: {again[0]} mails, {again[1]} calls of {leads} each")  # noqa: T201


def check_history(found, leads):
    """Each step once and whole, each wait as long as it was to be, no run beyond its limits."""
    steps = "SELECT count(*), count(*) FILTER (WHERE status = 'completed') FROM core_workflowstep"
    assert found.rows(steps) == [(leads * 8, leads * 8)]
    early = "SELECT count(*) FROM core_workflowstep WHERE type = 'wait' AND finished_at < next_at"
    assert found.rows(early) == [(0,)]
    torn = "SELECT count(*) FROM core_workflowstep WHERE finished_at IS NULL OR started_at IS NULL"
    assert found.rows(torn) == [(0,)]
