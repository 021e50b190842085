"""Every role killed before and after each of its commits: nothing lost, nothing doubled, no file left over.

`CRM_TEST_SWEEP=all` goes through every pass; otherwise a sample, whose seed is shown with -s. Several roles
share a test, for emptying the tables costs more than most of them.
"""

import os
import random
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.db import connection, connections
from django.utils import timezone

from backend.celery import app
from core import jobs, standalone_runner
from core.activities.models import Comment
from core.activities.tests.factories import CommentFactory
from core.changes.dispatch import dispatch
from core.changes.models import Change, Outbox
from core.mail import sending as mail
from core.mail.models import EmailMessage
from core.notifications.models import Notification
from core.personal_data import Erasure
from core.privacy import jobs as privacy
from core.privacy import lifecycle
from core.privacy.models import PrivacyRequest
from core.privacy.subject import AskedSubject
from core.tests.faults.failpoints import Sleeper, in_child
from core.transfer.models import ExportJob, ImportJob
from core.transfer.tests.uploads import upload
from core.webhooks import sending as webhooks
from core.webhooks.models import WebhookDelivery
from core.workflows import engine, sweeps
from core.workflows.models import Workflow, WorkflowExecution
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from tasks.models import Task

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]
LEADS = "/api/v1/leads/"
ALL = os.environ.get("CRM_TEST_SWEEP") == "all"
SEED = int(os.environ.get("CRM_TEST_SEED", "0")) or random.randrange(1, 10**6)  # noqa: S311
SAMPLE = 3
LEASES = ("core_workflowexecution", "core_emailmessage", "core_webhookdelivery", "core_delivery")


@pytest.fixture(autouse=True)
def apart(settings, tmp_path, monkeypatch):
    """Files of this test alone; and no message leaves: whoever is killed has rung for nobody."""
    settings.STORAGES = settings.STORAGES | {
        "default": settings.STORAGES["default"] | {"OPTIONS": {"location": tmp_path / "files"}}
    }
    monkeypatch.setattr(jobs, "_send", lambda *given: None)
    settings.CRM = {"IMPORT_ROWS_AT_ONCE": 3}


class Role:
    """One that may die: `begin()` gives it something to do, `work(subject)` does it, `after(subject)` is what
    happens once it has died of it, `check(subject, killed)` says that all is well. It dies `most` times."""

    most = 200

    def __init__(self, **fixtures):
        vars(self).update(fixtures)

    def after(self, subject):
        self.work(subject)

    def sweep(self):
        total = self.at(0)
        passes = range(1, total + 1)
        print(f"{type(self).__name__}: {total} passes, seed {SEED}")  # noqa: T201
        deaths = min(self.most if ALL else SAMPLE, total)
        for number in random.Random(SEED).sample(passes, deaths):  # noqa: S311
            self.at(number)
        Workflow.objects.update(status="paused")

    def at(self, number):
        subject = self.begin()
        connections.close_all()
        end = in_child(lambda: self.work(subject), number)
        assert end.killed == bool(number), (self, number, end)
        leases_run_out()
        self.after(subject)
        self.check(subject, end.killed)
        return end.passed


def leases_run_out():
    """As half a minute later, or two."""
    with connection.cursor() as cursor:
        for table in LEASES:
            cursor.execute(f"UPDATE {table} SET due_at = now() WHERE due_at > now() AND fence > 0")  # noqa: S608


def settle():
    """Everything that is due, by whoever is there now."""
    for _ in range(30):
        if not dispatch() + engine.run_due():
            return


def files():
    root = Path(default_storage.location)
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()) if root.exists() else []


numbers = iter(range(1, 10**6))


# -- requests: who asks again under the same key finds one effect


class Create(Role):
    def begin(self):
        return f"L{next(numbers)}"

    def work(self, name):
        given = {"first_name": name, "email": f"{name}@x.example"}
        answer = self.admin.post(LEADS, given, headers={"Idempotency-Key": name})
        assert answer.status_code == 201, answer.content
        return answer.json()["id"]

    def check(self, name, killed):
        [lead] = Lead.objects.filter(first_name=name)
        assert self.work(name) == lead.pk
        settle()
        assert Change.objects.filter(entity="lead", object_id=lead.pk, kind="created").count() == 1
        assert Comment.objects.filter(object_id=lead.pk).count() == 1


class ChangeMany(Role):
    def begin(self):
        leads = [LeadFactory() for _ in range(3)]
        settle()
        return [lead.pk for lead in leads]

    def work(self, pks):
        given = {"ids": pks, "action": "update", "data": {"city": "Turin"}}
        answer = self.admin.post(f"{LEADS}bulk_update/", given, headers={"Idempotency-Key": str(pks)})
        assert answer.status_code == 200, answer.content

    def check(self, pks, killed):
        settle()
        assert set(Lead.objects.filter(pk__in=pks).values_list("city", flat=True)) == {"Turin"}
        changed = Change.objects.filter(entity="lead", object_id__in=pks, kind="updated")
        assert Counter(changed.values_list("object_id", flat=True)) == dict.fromkeys(pks, 1)
        assert Comment.objects.filter(object_id__in=pks, body="moved").count() == 3


class BeginImport(Role):
    def begin(self):
        return f"i{next(numbers)}"

    def work(self, name):
        return begin_import(self.admin, name)

    def check(self, name, killed):
        job = self.work(name)
        assert run_import(job) == "finished"
        assert Lead.objects.filter(first_name=name).count() == 5
        assert ImportJob.objects.count() == 1
        assert_no_file_is_left()
        ImportJob.objects.all().delete()


def begin_import(client, name):
    lines = "".join(f"{name},{n}@{name}.example\n" for n in range(5))
    client.credentials(HTTP_IDEMPOTENCY_KEY=name)
    answer = upload(client, f"first_name,email\n{lines}")
    client.credentials()
    assert answer.status_code == 202, answer.content
    return answer.json()["id"]


def run_import(pk):
    jobs.run_now("core.tasks.run_import", pk)
    return ImportJob.objects.get(pk=pk).status


def assert_no_file_is_left():
    """An hour later."""
    for name in files():
        os.utime(default_storage.path(name), (0, 0))
    app.tasks["core.tasks.forget_stray_files"]()
    assert files() == []


def test_requests(admin, make_workflow):
    make_workflow([("add_comment", {"body": "made"})])
    Create(admin=admin).sweep()
    make_workflow([("add_comment", {"body": "moved"})], trigger="record_updated")
    ChangeMany(admin=admin).sweep()
    BeginImport(admin=admin).sweep()


# -- what follows a change


class Dispatcher(Role):
    def begin(self):
        return [self.make_lead(first_name=f"D{next(numbers)}").pk for _ in range(2)]

    def work(self, pks):
        dispatch()

    def after(self, pks):
        settle()

    def check(self, pks, killed):
        assert not Outbox.objects.exists()
        assert WorkflowExecution.objects.filter(object_id__in=pks, status="completed").count() == 2
        assert Comment.objects.filter(object_id__in=pks).count() == 2


STEPS = [
    ("add_tag", {"tag": "one"}),
    ("add_comment", {"body": "two"}),
    ("wait", {"seconds": 1}),
    ("create_task", {"title": "three", "due_days": 1}),
    ("send_email", {"subject": "four", "body": "x", "to": "{{ lead.email }}"}),
    ("send_notification", {"message": "five {{ lead.id }}", "to": "principal"}),
]


class Worker(Role):
    def begin(self):
        Notification.objects.all().delete()
        lead = self.make_lead(email=f"w{next(numbers)}@x.example")
        dispatch()
        return lead

    def work(self, lead):
        engine.run_due()
        wait_is_over()
        engine.run_due()

    def after(self, lead):
        settle()
        wait_is_over()
        settle()

    def check(self, lead, killed):
        [run] = WorkflowExecution.objects.filter(object_id=lead.pk)
        assert (run.status, run.steps.count()) == ("completed", 7), (run.error, run.lost_leases)
        lead.refresh_from_db()
        assert lead.tags == ["one"]
        assert Comment.objects.filter(object_id=lead.pk).count() == 1
        assert Task.objects.filter(lead=lead).count() == 1
        assert EmailMessage.objects.filter(object_id=lead.pk).count() == 1
        assert WebhookDelivery.objects.filter(object_id=lead.pk).count() == 1
        noted = Notification.objects.filter(type="workflow").values_list("body", "count")
        assert list(noted) == [(f"five {lead.pk}", 1)]


def wait_is_over():
    WorkflowExecution.objects.filter(status="waiting").update(due_at=timezone.now() - timedelta(seconds=1))


class Mail(Role):
    def begin(self):
        address = f"m{next(numbers)}@x.example"
        self.make_lead(email=address)
        settle()
        return address

    def work(self, address):
        mail.send_due()

    def check(self, address, killed):
        assert EmailMessage.objects.filter(to=[address], status="sent").count() == 1
        mine = [content for to, content in self.mailbox.messages if to == [address]]
        ids = {next(x for x in c.splitlines() if x.startswith("Message-ID")) for c in mine}
        assert len(ids) == 1
        assert len(mine) <= 1 + killed


class Webhooks(Role):
    def begin(self):
        lead = self.make_lead()
        settle()
        self.peer.requests.clear()
        return lead

    def work(self, lead):
        webhooks.deliver_due()

    def check(self, lead, killed):
        [delivery] = WebhookDelivery.objects.filter(object_id=lead.pk)
        assert delivery.status == "delivered"
        came = [request.headers["webhook-id"] for request in self.peer.requests]
        assert came in ([delivery.key], [delivery.key] * (1 + killed))


class Scheduler(Role):
    """Each minute that went by is one run."""

    def begin(self):
        note = [("send_notification", {"message": "tick", "to": "principal"})]
        every_minute = {"cron": "* * * * *", "catch_up": "all"}
        made = self.make_workflow(note, trigger="schedule", model="", settings=every_minute)
        Workflow.objects.filter(pk=made.pk).update(swept_until=timezone.now() - timedelta(minutes=3))
        return made

    def work(self, made):
        sweeps.sweep()

    def check(self, made, killed):
        Workflow.objects.filter(pk=made.pk).update(status="paused")
        settle()
        runs = WorkflowExecution.objects.filter(workflow=made)
        minutes = sorted(runs.values_list("event_key", flat=True))
        assert len(set(minutes)) == len(minutes)
        assert len(minutes) in (3, 4)


def test_what_follows_a_change(make_workflow, make_lead, mailbox, peer):
    made = {"make_lead": make_lead, "make_workflow": make_workflow, "mailbox": mailbox, "peer": peer}
    make_workflow([("add_comment", {"body": "seen"})])
    Dispatcher(**made).sweep()
    call = ("webhook", {"url": peer.url("/hook"), "body": {"id": "{{ lead.id }}"}})
    make_workflow([*STEPS, call])
    Worker(**made).sweep()
    mail.send_due()
    webhooks.deliver_due()
    make_workflow(STEPS[4:5])
    Mail(**made).sweep()
    make_workflow([call])
    Webhooks(**made).sweep()
    Scheduler(**made).sweep()


# -- jobs


class Importer(Role):
    def begin(self):
        name = f"j{next(numbers)}"
        return name, begin_import(self.admin, name)

    def work(self, subject):
        run_import(subject[1])

    def check(self, subject, killed):
        name, pk = subject
        job = ImportJob.objects.get(pk=pk)
        assert (job.status, job.created, job.read, job.stored_as) == ("finished", 5, 5, "")
        assert Lead.objects.filter(first_name=name).count() == 5
        assert Change.objects.filter(import_id=pk, entity="lead").count() == 5
        assert Notification.objects.filter(type="import_finished").count() <= 1
        Notification.objects.all().delete()
        assert_no_file_is_left()


class Exporter(Role):
    def begin(self):
        return self.admin.post("/api/v1/exports/", {"resource": "leads"}).json()["id"]

    def work(self, pk):
        jobs.run_now("core.tasks.run_export", pk)

    def check(self, pk, killed):
        job = ExportJob.objects.get(pk=pk)
        assert (job.status, job.rows, job.stored_as) == ("finished", Lead.objects.count(), f"exports/{pk}")
        assert files() == [job.stored_as]
        assert Path(default_storage.path(job.stored_as)).stat().st_size == job.size
        ExportJob.objects.filter(pk=pk).update(expires_at=timezone.now() - timedelta(days=1))
        app.tasks["core.tasks.sweep_transfers"]()
        assert files() == []


class Eraser(Role):
    """Whatever was erased by then, the next worker erases the rest, and counts each row once. It commits
    twice for each table."""

    most = 12

    def begin(self):
        name = f"Quibble{next(numbers)}"
        email = f"{name}@canary.example".lower()
        lead = LeadFactory(first_name=name, email=email)
        for n in range(3):
            Lead.objects.filter(pk=lead.pk).update(city=f"{name} City {n}")
        CommentFactory(record=lead, body=f"about {name}")
        while dispatch():
            continue
        return lifecycle.begin("erase", AskedSubject(emails=(email,)), None), name

    def work(self, subject):
        for _ in range(20):
            if privacy.run(subject[0].pk) not in privacy.GOES_ON:
                break
            while dispatch():
                continue

    def check(self, subject, killed):
        request, name = subject
        request.refresh_from_db()
        assert request.status == PrivacyRequest.Status.FINISHED, request.message
        assert request.counts["lead_management_lead"] == dict.fromkeys(Erasure, 0) | {Erasure.DELETE: 1}
        with connection.cursor() as cursor:
            for table in ("lead_management_lead", "core_change", "core_comment", "core_notification"):
                cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text ILIKE %s", [f"%{name}%"])  # noqa: S608
                assert cursor.fetchone() == (0,), table


def test_jobs(admin):
    Importer(admin=admin).sweep()
    Exporter(admin=admin).sweep()
    Lead.objects.all().delete()
    Eraser().sweep()


def test_one_process_for_all_that_dies_again_and_again(make_workflow, make_lead, peer, mailbox):
    """`run_automation --once`, killed a little further on each time: one row may meet several deaths."""
    call = ("webhook", {"url": peer.url("/again"), "body": {"id": "{{ lead.id }}"}})
    make_workflow([*STEPS, call])
    leads = [make_lead(email=f"a{next(numbers)}@x.example") for _ in range(3)]
    deaths = 0
    for number in range(1, 60, 1 if ALL else 7):
        connections.close_all()
        deaths += in_child(standalone_runner.run_once, number).killed
        leases_run_out()
        wait_is_over()
    for _ in range(5):
        standalone_runner.run_once()
        wait_is_over()
    assert deaths
    runs = WorkflowExecution.objects.filter(object_id__in=[lead.pk for lead in leads])
    assert Counter(runs.values_list("status", flat=True)) == {"completed": 3}
    assert Comment.objects.filter(body="two").count() == Task.objects.count() == 3
    sent = Counter(to[0] for to, _ in mailbox.messages)
    assert {lead.email for lead in leads} <= set(sent)
    assert len({request.headers["webhook-id"] for request in peer.requests}) == 3


def test_a_worker_that_slept_longer_than_its_lease(make_workflow, make_lead, peer, mailbox):
    """SIGSTOP once it has its lease, SIGCONT when another has done the work: it writes nothing any more."""
    call = ("webhook", {"url": peer.url("/late"), "body": {"id": "{{ lead.id }}"}})
    make_workflow([STEPS[0], STEPS[1], *STEPS[3:5], call])
    lead = make_lead(email="late@x.example")
    dispatch()
    for role in (engine.run_due, mail.send_due, webhooks.deliver_due):
        connections.close_all()
        sleeper = Sleeper(role, 2)  # after the commit of its claim
        assert sleeper.is_asleep, role
        leases_run_out()
        role()
        assert sleeper.wake() == 0, role
    [run] = WorkflowExecution.objects.all()
    fences = (run.fence, EmailMessage.objects.get().fence, WebhookDelivery.objects.get().fence)
    assert (run.status, fences) == ("completed", (2, 2, 2))  # both had it
    assert list(run.steps.values_list("status", flat=True)) == ["completed"] * 5
    lead.refresh_from_db()
    assert lead.tags == ["one"]
    assert Comment.objects.count() == Task.objects.count() == 1
    assert EmailMessage.objects.get().status == "sent"
    assert WebhookDelivery.objects.get().status == "delivered"
    # The sleeper sends what it had claimed, under the same key; what came of it is not recorded.
    assert len({request.headers["webhook-id"] for request in peer.requests}) == 1
    assert len(peer.requests) <= 2
    assert len(mailbox.messages) <= 2
