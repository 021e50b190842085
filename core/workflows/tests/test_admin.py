"""Automation in the admin site: shown to administrators, without secrets, not written there."""

import pytest

pytestmark = pytest.mark.django_db
PAGES = (
    "workflow",
    "workflowexecution",
    "emailtemplate",
    "emailmessage",
    "webhooksubscription",
    "webhookdelivery",
)


def test_administrators_look_at_automation(client, admin_user, make_workflow, make_lead, settle):
    admin_user.is_staff = True
    admin_user.save()
    client.force_login(admin_user)
    workflow = make_workflow([("add_tag", {"tag": "x"})])
    make_lead()
    run = settle()[0]
    for page in PAGES:
        assert client.get(f"/admin/core/{page}/").status_code == 200, page
    assert client.get(f"/admin/core/workflow/{workflow.pk}/change/").status_code == 200
    assert client.get(f"/admin/core/workflowexecution/{run.pk}/change/").status_code == 200
    assert client.get("/admin/core/workflow/add/").status_code == 403
