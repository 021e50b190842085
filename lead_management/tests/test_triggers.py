"""Scoring starts a workflow only where a threshold was crossed."""

import pytest

from core.changes.dispatch import dispatch
from core.lead_scoring import jobs
from core.workflows.models import Workflow, WorkflowExecution
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
STRONG = {
    "first_name": "Ada",
    "email": "ada@engines.example",
    "company_name": "Engines",
    "lead_source": "referral",
}


def workflow(admin, trigger, **settings):
    response = admin.post(
        "/api/v1/workflows/",
        {
            "name": f"{trigger} {settings}",
            "trigger_type": trigger,
            "trigger_conditions": {"model": "lead", **settings},
            "actions": [{"type": "create_task", "params": {"title": "Call", "due_days": 1}}],
            "status": "active",
        },
    )
    assert response.status_code == 201, response.content
    return Workflow.objects.get(pk=response.json()["id"])


def runs(made):
    dispatch()
    return list(WorkflowExecution.objects.filter(workflow=made).values_list("object_id", flat=True))


def test_a_score_that_crosses_a_threshold_starts_a_workflow_once(admin):
    rose, fell = (
        workflow(admin, "score_crossed", threshold=80),
        workflow(admin, "score_crossed", threshold=60, direction="down"),
    )
    lead = LeadFactory(**STRONG)
    assert runs(rose) == []
    jobs.score_ids([lead.pk])  # from 50 to 90
    assert runs(rose) == [lead.pk]
    jobs.score_ids([lead.pk])
    assert runs(rose) == [lead.pk]
    Lead.objects.filter(pk=lead.pk).update(lead_source="other", company_name="", email="")
    jobs.score_ids([lead.pk])  # from 90 to 50
    assert runs(rose) == [lead.pk]
    assert runs(fell) == [lead.pk]


def test_scoring_is_no_update_of_a_record(admin):
    made = workflow(admin, "record_updated")
    lead = LeadFactory(**STRONG)
    dispatch()
    jobs.score_ids([lead.pk])
    assert runs(made) == []
    Lead.objects.filter(pk=lead.pk).update(job_title="CEO")
    assert runs(made) == [lead.pk]
