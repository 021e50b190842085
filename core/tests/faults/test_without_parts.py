"""Parts that are away, come back, are replaced or restored; nothing is lost or done twice."""

import signal
import subprocess
import time
from contextlib import suppress

import httpx
import pytest

from backend.development.embedded.postgres import INSTALL
from backend.testing.servers import running_postgres
from core.tests.faults.cluster import await_true

STEPS = [
    ("add_tag", {"tag": "one"}),
    ("create_task", {"title": "Ring {{ lead.first_name }}", "due_days": 1}),
    ("send_notification", {"message": "Look at {{ lead.first_name }}", "to": "principal"}),
    ("send_email", {"subject": "Hello", "body": "x", "to": "{{ lead.email }}"}),
]
RUNS = "SELECT status, count(*) FROM core_workflowexecution WHERE workflow_id = {} GROUP BY 1"
TASKS = "SELECT count(*), count(DISTINCT lead_id) FROM tasks_task"


def post_leads(found, count, start=0):
    for n in range(start, start + count):
        body = {"first_name": f"L{n}", "email": f"l{n}@x.example"}
        status, answer = found.call("POST", "/api/v1/leads/", body)
        assert status == 201, answer


@pytest.mark.timeout(300)
def test_without_any_valkey_requests_are_served_and_one_command_does_all_the_rest_once(without_valkey):
    """Records, the task, the mail, the call and the notice by mail; the command ends well when told to."""
    found = without_valkey
    found.make_user()
    found.start("web")
    found.await_web()
    options = found.call(
        "PATCH", "/api/v1/notifications/preferences/", {"types": {"workflow": {"email": True}}}
    )
    assert options[0] == 200, options
    call = ("webhook", {"url": found.peer.url(), "body": {"who": "{{ lead.first_name }}"}})
    found.add_workflow("All", [*STEPS, call])
    post_leads(found, 3)
    found.start("automation")
    await_true(lambda: found.ended(3) and sum(found.mailbox.received.values()) >= 6, 60, "runs and mails")
    await_true(lambda: len(found.peer.requests) >= 3, 20, "calls")
    assert found.end("automation") == 0, found.log("automation")
    assert found.rows(TASKS) == [(3, 3)]
    assert sorted(found.mailbox.recipients.items()) == [
        ("chaos@crm.example", 3),
        *((f"l{n}@x.example", 1) for n in range(3)),
    ]
    assert set(found.mailbox.received.values()) == {1}
    assert len(found.peer.requests) == len({r.headers["webhook-id"] for r in found.peer.requests}) == 3


JOBS = """
SELECT (SELECT array_agg(kind || ' ' || status || ' ' || created ORDER BY id) FROM core_importjob),
       (SELECT array_agg(status || ' ' || rows) FROM core_exportjob),
       (SELECT array_agg(status || ' ' || done) FROM core_scoringjob)
"""


MANY = 2_001  # rows: more than are imported while the client waits
LEADS = "SELECT count(*), count(scored_at) FROM lead_management_lead"
LONG_AGO = "UPDATE core_session SET expires_at = now() - interval '2 years'"
DUE = """
UPDATE django_celery_beat_periodictask SET last_run_at = now() - interval '2 days'
WHERE name = 'forget-sessions'
"""
SESSIONS = "SELECT count(*) FROM core_session"


@pytest.mark.timeout(300)
def test_without_any_valkey_imports_exports_scores_and_the_schedule_are_done_too(without_valkey):
    """What takes workers and beat otherwise; the database alone says that it is to be done."""
    found = without_valkey
    found.make_user()
    found.start("web", "automation")
    found.await_web()
    bearing = {"Authorization": f"Bearer {found.key}"}
    content = "".join(["first_name,email\n", *(f"L{n},l{n}@x.example\n" for n in range(MANY))])
    given = {"file": ("many.csv", content.encode())}
    sent = httpx.post(f"{found.web.url}/api/v1/import/leads/", files=given, headers=bearing, timeout=30)
    assert sent.status_code == 202, sent.text
    await_true(lambda: found.rows(JOBS)[0][0] == [f"import finished {MANY}"], 60, "the import")
    assert found.call("POST", "/api/v1/exports/", {"resource": "leads"})[0] == 202
    assert found.call("POST", "/api/v1/scoring/", {"action": "bulk_score", "all": True})[0] == 202
    done = ([f"import finished {MANY}"], [f"finished {MANY}"], [f"finished {MANY}"])
    await_true(lambda: found.rows(JOBS) == [done], 60, "the export and the scores")
    assert found.rows(LEADS) == [(MANY, MANY)]

    signed_in = {"username": "chaos", "password": "correct horse battery"}
    assert found.call("POST", "/api/auth/login/", signed_in)[0] == 200
    assert found.end("automation") == 0, found.log("automation")
    found.rows(LONG_AGO)
    found.rows(DUE)
    found.start("automation")
    await_true(lambda: found.rows(SESSIONS) == [(0,)], 30, "old sessions are deleted")

    undone = found.call("POST", f"/api/v1/imports/{sent.json()['id']}/undo/", {})
    assert undone[0] in (200, 202), undone
    await_true(lambda: found.rows(LEADS) == [(0, 0)], 60, "the undoing")


def of(found, workflow):
    """The workflow's runs by status."""
    return dict(found.rows(RUNS.format(workflow)))


@pytest.mark.timeout(200)
def test_a_request_is_served_while_valkey_is_away_and_its_run_comes_once_that_is_back(whole):
    workflow = whole.add_workflow("Away", STEPS[:1], conditions={"first_name": "L0"})
    whole.valkey.stop()
    post_leads(whole, 1)
    assert of(whole, workflow) == {}
    whole.valkey.start(end_signal=9)
    whole.ensure("worker", "beat")
    await_true(lambda: of(whole, workflow) == {"completed": 1}, 60, "the run of what was posted meanwhile")


@pytest.mark.timeout(200)
def test_a_change_that_nobody_rang_for_is_found_by_the_sweep(whole):
    """As when the web process is killed between the commit and the doorbell: only the row is there."""
    workflow = whole.add_workflow("Unrung", STEPS[:1], conditions={"first_name": "Unrung"})
    whole.ensure("worker", "beat")
    unrung = "INSERT INTO lead_management_lead (first_name) VALUES ('Unrung')"
    whole.rows(unrung)
    await_true(lambda: of(whole, workflow) == {"completed": 1}, 60, "worker and beat are at work")
    whole.rows(unrung)
    took = await_true(lambda: of(whole, workflow) == {"completed": 2}, 30, "the run", pause=0.05)
    assert took < 10, "the sweep comes every five seconds"


LATENESS = """
SELECT extract(epoch FROM after.started_at - over.next_at)::float8
FROM core_workflowexecution e
JOIN core_workflowstep over ON over.execution_id = e.id AND over.type = 'wait'
JOIN core_workflowstep after ON after.execution_id = e.id AND after.type = 'add_tag'
WHERE e.workflow_id = {} AND e.status = 'completed'
"""


@pytest.mark.timeout(200)
def test_a_wait_is_never_over_early_and_at_most_fifteen_seconds_late(whole):
    """While all is up; the kill loop has waits that outlive everything."""
    waits = [("wait", {"seconds": 3}), STEPS[0]]
    workflow = whole.add_workflow("Patient", waits, conditions={"first_name": "Patient"})
    whole.ensure("worker", "beat")
    for _ in range(5):
        assert whole.call("POST", "/api/v1/leads/", {"first_name": "Patient"})[0] == 201
        time.sleep(0.3)
    await_true(lambda: of(whole, workflow) == {"completed": 5}, 60, "the runs")
    late = [seconds for (seconds,) in whole.rows(LATENESS.format(workflow))]
    assert len(late) == 5
    assert 0 <= min(late) <= max(late) <= 15


@pytest.mark.timeout(200)
def test_workers_that_are_alive_and_stand_still_show_after_a_minute(whole):
    """A process that is there, and a broker that answers, say nothing."""
    workflow = whole.add_workflow("Still", STEPS[:1], conditions={"first_name": "Still"})
    whole.end("automation")
    whole.ensure("worker", "beat")
    await_true(lambda: _readiness(whole) == ("ok", False), 60, "all is well before")
    whole.signal("worker", signal.SIGSTOP)
    whole.rows("INSERT INTO lead_management_lead (first_name) VALUES ('Still')")
    await_true(lambda: _readiness(whole) == ("degraded", True), 75, "it shows", pause=1)
    assert of(whole, workflow) == {}
    whole.signal("worker", signal.SIGCONT)
    await_true(lambda: of(whole, workflow) == {"completed": 1}, 60, "the run")
    await_true(lambda: _readiness(whole) == ("ok", False), 60, "all is well again")


def _readiness(found):
    answer = found.call("GET", "/readyz")[1]
    return answer["status"], answer["automation"]["oldest_undispatched_change_s"] > 60


PART, TIMES = 30, 2
LOAD = """
INSERT INTO lead_management_lead (first_name, email)
SELECT 'Rolling', 'r' || n || '@x.example' FROM generate_series(1, {}) AS n
"""


@pytest.mark.timeout(300)
def test_workers_that_are_replaced_one_after_the_other_lose_and_double_nothing(whole):
    """SIGTERM in mid-work to each kind of worker. What they hold is given back, not left to run out."""
    call = ("webhook", {"url": whole.peer.url("/rolling"), "body": {"id": "{{ lead.id }}"}})
    comments = [("add_comment", {"body": f"{n} of {{{{ lead.email }}}}"}) for n in range(4)]
    workflow = whole.add_workflow("Rolling", [*comments, *STEPS, call], conditions={"first_name": "Rolling"})
    whole.ensure("worker", "beat", "automation")
    runs = 0
    for name in ("worker", "automation") * TIMES:
        runs += PART * _set_to_work(whole, name)
        assert whole.end(name) == 0, whole.log(name)
        whole.start(name)
    await_true(lambda: of(whole, workflow) == {"completed": runs}, 120, "all runs")
    await_true(lambda: len(_calls(whole)) >= runs and len(_mails(whole)) >= runs, 60, "all calls and mails")
    time.sleep(1)
    assert (len(_calls(whole)), len(set(_calls(whole)))) == (runs, runs)
    assert (len(_mails(whole)), set(_mails(whole))) == (runs, {1})
    written = "SELECT count(*), count(DISTINCT (object_id, body)) FROM core_comment"
    assert whole.rows(written) == [(runs * 4, runs * 4)]
    # One that was not given back would have run out and been counted.
    assert whole.rows("SELECT count(*) FROM core_workflowexecution WHERE lost_leases > 0") == [(0,)]


def _set_to_work(found, name):
    """Load until it has some of it in hand, for the other may be quicker; how many parts that took."""
    for parts in range(1, 20):
        found.rows(LOAD.format(PART))
        with suppress(AssertionError):
            await_true(lambda: found.at_work(name), 6, f"{name} is at work", 0.01)
            return parts
    raise AssertionError(f"{name} took up nothing: {found.log(name)}")


def _calls(found):
    """The ids under which calls came."""
    return [r.headers["webhook-id"] for r in found.peer.requests if r.path == "/rolling"]


def _mails(found):
    """How often each mail to one of the leads came."""
    ids = found.rows("SELECT key FROM core_emailmessage WHERE \"to\"::text LIKE '%r%@x.example%'")
    return [n for (key,) in ids if (n := found.mailbox.received.get(f"<{key}@127.0.0.1>"))]


WAITING = [("add_tag", {"tag": "before"}), ("wait", {"seconds": 1}), *STEPS]


@pytest.mark.timeout(200)
def test_what_waits_goes_on_in_a_database_restored_from_a_dump(whole, tmp_path):
    """Waiting runs, mail, changes not yet dispatched: the dump has all, Valkey is needed for none."""
    workflow = whole.add_workflow("Dumped", WAITING, conditions={"first_name": "Dumped"})
    for name in ("automation", "worker", "beat"):
        whole.end(name)
    # As after years of work: the number of a transaction is far beyond what a new server has counted.
    whole.rows(BURN)
    insert = "INSERT INTO lead_management_lead (first_name, email) VALUES ('Dumped', 'd{0}@x.example')"
    whole.rows(insert.format(1))
    whole.shell(ONE_STEP)
    whole.rows(insert.format(2))
    assert of(whole, workflow) == {"waiting": 1}
    with running_postgres(whole.folder, "restored", durable=True) as other:
        url, owner = _restore(whole, other, tmp_path / "crm.dump")
        whole.shell(FINISH, DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:1/0")
        assert whole.rows(RUNS.format(workflow), url) == [("completed", 2)]
        assert whole.rows(DONE, url) == [
            ("d1@x.example", ["before", "one"], 1),
            ("d2@x.example", ["before", "one"], 1),
        ]
        _reads_the_feed(whole, url, owner)
    assert [whole.mailbox.recipients[f"d{n}@x.example"] for n in (1, 2)] == [1, 1]


BURN = "DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
COUNTED = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
ORDER = "SELECT id, xid::text::bigint FROM core_change ORDER BY xid, id"
PREPARE = """
from django.core.management import call_command
from core.changes import feed
call_command("prepare")
call_command("prepare")
print(feed.settled().count())
"""


def _reads_the_feed(found, url, owner):
    """The other server has counted fewer transactions: what was restored is not hidden until it caught up."""
    ((counted,),) = found.rows(COUNTED, url)
    hidden = [pk for pk, xid in found.rows(ORDER, url) if xid >= counted]
    assert hidden
    given = {"DATABASE_URL": url, "DATABASE_MIGRATION_URL": owner, "REDIS_URL": "redis://127.0.0.1:1/0"}
    said = found.shell(PREPARE, **given)
    after = found.rows(ORDER, url)
    assert said.count("numbered anew") == 1
    assert int(said.split()[-1]) == len(after)
    # The very oldest may share a number: so young a server has not enough of them.
    kept = [pk for pk, xid in after if pk in set(hidden) and xid > 3]
    assert kept
    assert kept == hidden[-len(kept) :]


DONE = """
SELECT l.email, l.tags, count(*) FROM lead_management_lead l JOIN tasks_task t ON t.lead_id = l.id
WHERE l.first_name = 'Dumped' GROUP BY 1, 2 ORDER BY 1
"""
ONE_STEP = """
from core.changes.dispatch import dispatch
from core.workflows import engine
dispatch(); engine.run_due()
"""
FINISH = """
import time
from django.core.management import call_command
call_command("run_automation", "--once")
time.sleep(1.1)
call_command("run_automation", "--once")
"""


def _restore(found, server, dump):
    """The whole database by pg_dump into another, on a server that has counted fewer transactions."""
    tools = found.postgres.site / INSTALL / "bin"
    with_url = f"--dbname={found.postgres.superuser_url}"
    subprocess.run(
        [tools / "pg_dump", "--format=custom", "--no-owner", f"--file={dump}", with_url], check=True
    )
    found.rows("CREATE DATABASE restored OWNER crm_owner", server.superuser_url)
    owner, url = (given.rsplit("/", 1)[0] + "/restored" for given in (server.owner_url, server.url))
    restore = [tools / "pg_restore", "--no-owner", "--exit-on-error", f"--dbname={owner}", dump]
    subprocess.run(restore, check=True)
    return url, owner
