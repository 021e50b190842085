"""What automation adds to the timeline: mails and runs."""

import pytest
from django.db import connection

from core.mail.tests.factories import EmailMessageFactory
from core.workflows.models import WorkflowExecution, WorkflowStep, WorkflowVersion
from core.workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(rep, new_lead):
    """A lead that a workflow ran over: (lead, execution)."""
    lead = new_lead(rep, owner=rep, assigned_to=rep)
    workflow = WorkflowFactory(name="Welcome", trigger_type="manual", actions=[], status="active")
    version = WorkflowVersion.objects.filter(workflow=workflow).first()
    execution = WorkflowExecution.objects.create(
        workflow=workflow,
        version_id=version.pk if version else 1,
        event_key="e1",
        entity="lead",
        object_id=lead.pk,
        status="completed",
        requested_by_id=rep.pk,
    )
    WorkflowStep.objects.create(
        execution=execution,
        position=0,
        path="0",
        type="send_email",
        status="completed",
        input={"to": "secret"},
    )
    return lead, execution


def entries(api, user, lead, kind):
    return api(user).get(f"/api/v1/leads/{lead.pk}/timeline/?kind={kind}").json()["results"]


def test_a_run_shows_its_steps_but_not_what_they_were_given(api, rep, run):
    lead, execution = run
    (entry,) = entries(api, rep, lead, "workflow")
    assert (entry["title"], entry["type"], entry["actor"]["id"]) == ("Welcome", "completed", rep.pk)
    assert entry["data"]["execution_id"] == execution.pk
    assert [(s["type"], s["status"]) for s in entry["data"]["steps"]] == [("send_email", "completed")]
    assert "hush" not in str(entry)


def test_a_mail_about_the_record_is_notified(api, rep, run):
    lead, _ = run
    EmailMessageFactory(
        key="m1",
        subject="Welcome!",
        to=["ada@engines.example"],
        entity="lead",
        object_id=lead.pk,
        text="Hello",
    )
    (entry,) = entries(api, rep, lead, "email")
    assert (entry["title"], entry["data"]["to"]) == ("Welcome!", ["ada@engines.example"])


def test_every_source_reads_a_record_by_an_index_in_its_own_order(rep, run):
    """With sequential scans and sorts made dear, no source may need either."""
    from core.changes import timeline
    from core.entities import entities

    lead, _ = run
    subject = timeline.RecordRef(entities["lead"], lead.pk, rep)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        for kind in ("change", "activity", "comment", "email", "workflow", "task"):
            source = timeline.sources[kind]
            order = ("-id",) if source.by_id else (f"-{source.at}", "-id")
            rows = source.rows(subject)
            # The first is what belongs to the record, the others what is further about it: a few.
            for place, part in enumerate(rows if isinstance(rows, list) else [rows]):
                plan = part.order_by(*order)[:50].explain()
                assert place or "Sort" not in plan, f"{kind}: {plan}"
                assert "Seq Scan on core_" not in plan.replace("core_user", ""), f"{kind}: {plan}"
