"""Workflows that wait for the end of an import: a real import, a real run, once."""

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction

from core.notifications.models import Notification
from core.transfer import undoing
from core.transfer.jobs import reopened, run_now
from core.transfer.models import ImportJob
from core.transfer.running import MAX_ATTEMPTS, fail, run_job
from core.workflows.models import WorkflowExecution

pytestmark = pytest.mark.django_db(transaction=True)
NOTIFIED = (
    "{{payload.status}} {{payload.success}}: {{payload.created}} of {{payload.read}} {{payload.resource}} of"
    " {{payload.file_name}} by {{payload.username}}"
)
SAY = ("send_notification", {"message": NOTIFIED, "to": "admins"})


@pytest.fixture
def send(api, admin_user):
    """send("a,b\\n1,2\\n", automation="suppress") → the answer of an import of leads."""

    def post(text, user=admin_user, resource="leads", **options):
        file = SimpleUploadedFile("people.csv", text.encode(), "text/csv")
        return api(user).post(f"/api/v1/import/{resource}/", {"file": file, **options}, format="multipart")

    return post


@pytest.fixture
def postponed(send, settings):
    """The same as a job that a worker is to do."""

    def post(*args, **options):
        settings.CRM = {"IMPORT_ROWS_AT_ONCE": 0}
        return ImportJob.objects.get(pk=send(*args, **options).json()["id"])

    return post


def runs():
    return list(WorkflowExecution.objects.order_by("id").values_list("event_key", "trigger_data__status"))


def messages():
    return list(Notification.objects.filter(type="workflow").order_by("id").values_list("body", flat=True))


def test_the_end_of_an_import_runs_the_workflows_that_wait_for_it_with_its_figures(
    send, make_workflow, settle
):
    make_workflow([SAY], trigger="import_finished", model="")
    answer = send("first_name,email\nAda,a@x.example\nBob,broken\n").json()
    (run,) = settle()
    assert (run.status, run.event_key) == ("completed", f"import:{answer['id']}")
    assert run.trigger_data == {
        "import_id": answer["id"], "resource": "leads", "file_name": "people.csv", "status": "finished",
        "success": True, "message": "", "user_id": run.trigger_data["user_id"], "username": "admin1",
        "read": 2, "created": 1, "updated": 0, "unchanged": 0, "skipped": 0, "failed": 1,
    }  # fmt: skip
    assert messages() == ["finished true: 1 of 2 leads of people.csv by admin1"]


def test_it_runs_once_however_often_the_end_is_reached(postponed, make_workflow, settle):
    make_workflow([SAY], trigger="import_finished", model="")
    job = postponed("first_name\nAda\n")
    assert [run_job(job.pk), run_job(job.pk)] == ["finished", ""]
    # A worker that died after its commit was seen by nobody: the job is taken up as if it had not ended.
    ImportJob.objects.filter(pk=job.pk).update(status="running")
    fail(job.pk, RuntimeError("late"))
    settle()
    assert runs() == [(f"import:{job.pk}", "finished")]
    assert len(messages()) == 1


def test_an_attempt_that_is_undone_starts_nothing(postponed, make_workflow):
    make_workflow([SAY], trigger="import_finished", model="")
    job = postponed("first_name\nAda\n")
    with transaction.atomic(), default_storage.open(job.stored_as) as file:
        run_now(job, reopened(job, file.file))
        assert runs() == [(f"import:{job.pk}", "finished")]
        transaction.set_rollback(True)  # what a kill between the last statement and the commit leaves
    assert runs() == []
    assert run_job(job.pk) == "finished"
    assert runs() == [(f"import:{job.pk}", "finished")]


def test_imports_that_fail_are_cancelled_or_given_up_say_so(postponed, admin, make_workflow, settle):
    make_workflow([SAY], trigger="import_finished", model="", settings={"outcome": "failed"})
    done, broken, stopped, stuck = (postponed("first_name\nAda\n") for _ in range(4))
    assert run_job(done.pk) == "finished"
    fail(broken.pk, RuntimeError("disk"))
    assert admin.post(f"/api/v1/imports/{stopped.pk}/cancel/").status_code == 200
    run_job(stopped.pk)
    ImportJob.objects.filter(pk=stuck.pk).update(attempt=MAX_ATTEMPTS)
    run_job(stuck.pk)
    assert runs() == [
        (f"import:{broken.pk}", "failed"),
        (f"import:{stopped.pk}", "cancelled"),
        (f"import:{stuck.pk}", "failed"),
    ]
    assert {run.status for run in settle()} == {"completed"}


def test_all_or_nothing_with_a_fault_is_a_failed_import(send, make_workflow):
    make_workflow([SAY], trigger="import_finished", model="", settings={"outcome": "succeeded"})
    assert send("first_name,email\nAda,broken\n", skip_errors="false").json()["success"] is False
    assert runs() == []


def test_an_import_that_suppresses_automation_a_rehearsal_and_an_undoing_start_nothing(
    send, admin_user, make_workflow, settle
):
    make_workflow([SAY], trigger="import_finished", model="")
    done = send("first_name\nAda\n", automation="suppress").json()
    send("first_name\nBob\n", dry_run="true")
    undoing.perform_undo(undoing.begin_undo(ImportJob.objects.get(pk=done["id"]), admin_user))
    assert settle() == []


def test_only_active_workflows_for_this_kind_of_record_are_started(send, make_workflow):
    leads = make_workflow([SAY], trigger="import_finished", model="lead")
    make_workflow([SAY], trigger="import_finished", model="contact")
    make_workflow([SAY], trigger="import_finished", model="lead", status="paused")
    send("first_name\nAda\n")
    assert list(WorkflowExecution.objects.values_list("workflow", "entity", "object_id")) == [
        (leads.pk, "", None)
    ]


def test_workflows_hear_of_imports_their_principal_may_know_of(send, make_user, make_workflow):
    importer, stranger, admin_ = make_user("rep"), make_user("rep"), make_user("admin")
    made = {
        name: make_workflow([SAY], trigger="import_finished", model="", run_as=user)
        for name, user in (("own", importer), ("other", stranger), ("admin", admin_), ("system", None))
    }
    send("first_name\nAda\n", user=importer)
    started = set(WorkflowExecution.objects.values_list("workflow", flat=True))
    assert started == {made["own"].pk, made["admin"].pk, made["system"].pk}


def test_the_preview_counts_them(send, api, admin_user, make_workflow):
    make_workflow([SAY], trigger="import_finished", model="lead")
    file = SimpleUploadedFile("l.csv", b"first_name\nAda\n")
    url = "/api/v1/import/leads/preview/"
    assert api(admin_user).post(url, {"file": file}, format="multipart").json()["workflows"] == 1


@pytest.mark.parametrize(
    ("given", "action", "field"),
    [
        (
            {"model": "lead", "conditions": {"status": "new"}},
            ("send_notification", {"message": "x"}),
            "trigger_conditions.conditions",
        ),
        ({"model": "lead"}, ("add_tag", {"tag": "x"}), "actions[0].params"),
        (
            {"model": "lead"},
            ("send_notification", {"message": "{{lead.first_name}}"}),
            "actions[0].params.message",
        ),
        ({"outcome": "maybe"}, ("send_notification", {"message": "x"}), "trigger_conditions.outcome"),
    ],
)
def test_a_workflow_that_takes_an_import_for_a_record_is_refused(admin, given, action, field):
    body = {
        "name": "After imports",
        "trigger_type": "import_finished",
        "trigger_conditions": given,
        "actions": [{"type": action[0], "params": action[1]}],
        "status": "active",
    }
    response = admin.post("/api/v1/workflows/", body)
    assert (response.status_code, [e["field"] for e in response.json()["errors"]]) == (400, [field])
