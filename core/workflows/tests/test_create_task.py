"""The action that creates tasks: what else they are about."""

import pytest

from contacts.tests.factories import ContactFactory
from tasks.models import Task, TaskRecord

pytestmark = pytest.mark.django_db


def made_about(task):
    return list(TaskRecord.of(task).values_list("entity", "object_id"))


def test_a_task_is_about_more_records(make_workflow, make_lead, settle, admin):
    contact, other = ContactFactory(), ContactFactory()
    text = (
        f"contact {contact.pk}, contact {{{{ lead.company.id }}}}, lead {{{{ lead.id }}}}, contact {other.pk}"
    )
    make_workflow([("create_task", {"title": "Call", "records": text})])
    lead = make_lead(first_name="Ada")
    [run] = settle()
    assert run.status == "completed", run.error
    task = Task.objects.get()
    # The lead is the first record already, and has no company.
    assert task.lead_id == lead.pk
    assert made_about(task) == [("contact", contact.pk), ("contact", other.pk)]
    shown = admin.get(f"/api/v1/tasks/{task.pk}/").json()["records"]
    assert [one["id"] for one in shown] == [contact.pk, other.pk]


def test_a_record_that_is_not_there_when_the_step_runs_creates_no_task(make_workflow, make_lead, settle):
    make_workflow([("create_task", {"title": "Call", "records": "contact {{ lead.call_attempts }}"})])
    make_lead(call_attempts=7)
    [run] = settle()
    assert (run.status, Task.objects.count()) == ("failed", 0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("contact x", "invalid"),
        ("contact 999999", "does_not_exist"),
        ("task 1", "invalid_choice"),
        ("contact {{ lead.nothing }}", "bad_template"),
        ("contact 1 " * 101, "max_length"),
    ],
)
def test_what_is_no_further_record_is_refused_when_the_workflow_is_saved(admin, text, code):
    actions = [{"type": "create_task", "params": {"title": "Call", "records": text}}]
    body = {"name": "x", "trigger_type": "record_created", "trigger_conditions": {"model": "lead"}}
    answer = admin.post("/api/v1/workflows/", body | {"actions": actions})
    assert answer.status_code == 400, answer.json()
    error = answer.json()["errors"][0]
    assert (error["field"], error["code"]) == ("actions[0].params.records", code)
