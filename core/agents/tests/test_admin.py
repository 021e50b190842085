"""Grants and sessions in the admin site."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.accounts.tests.factories import UserFactory
from core.admin.verbs import SENT
from core.agents.models import AgentGrant, AgentSession
from core.agents.tests.conftest import message
from core.changes.models import Change
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser():
    client = Client()
    client.force_login(UserFactory(username="boss", role="admin", is_staff=True))
    return client


def test_administrators_set_budgets_revoke_and_undo(browser, posted, make_key, rep):
    lead = LeadFactory(owner=rep, city="Rome")
    key = make_key(rep, "write", "agents:write")
    posted(key, ("update_lead", {"id": lead.pk, "values": {"city": "Oslo"}}))
    ends = timezone.now() + timedelta(days=1)
    AgentGrant.objects.update(expires_at=ends)
    grant, session = AgentGrant.objects.get(), AgentSession.objects.get()

    page = reverse("admin:core_agentgrant_change", args=[grant.pk])
    assert browser.get(page).status_code == 200
    body = {
        "reads_per_hour": 7,
        "writes_per_hour": 3,
        "dry_run": "on",
        "expires_at_0": "2099-01-01",
        "expires_at_1": "00:00:00",
    }
    assert browser.post(page, body).status_code == 302
    grant.refresh_from_db()
    assert (grant.reads_per_hour, grant.writes_per_hour, grant.dry_run) == (7, 3, True)
    assert grant.expires_at == ends
    assert Change.objects.filter(entity="agent_grant", source="admin", kind="updated").count() == 1

    shown = browser.get(reverse("admin:core_agentsession_change", args=[session.pk])).content.decode()
    assert f"lead {lead.pk} (updated)" in shown
    undo = reverse("admin:core_agentsession_undo", args=[session.pk])
    assert browser.get(undo).status_code == 200
    lead.refresh_from_db()
    assert lead.city == "Oslo"
    browser.post(undo, {SENT: "1"})
    lead.refresh_from_db()
    assert lead.city == "Rome"
    history = browser.get(reverse("admin:lead_management_lead_history", args=[lead.pk])).content.decode()
    assert "by the agent Claude" in history

    listed = reverse("admin:core_agentgrant_changelist")
    browser.post(listed, {"action": "revoke", "_selected_action": [grant.pk]})
    assert message(key, "tools/list", {}).status_code == 401


def test_nobody_else_opens_them(rep):
    rep.is_staff = True
    rep.save()
    client = Client()
    client.force_login(rep)
    for name in ("agentgrant", "agentsession"):
        assert client.get(reverse(f"admin:core_{name}_changelist")).status_code == 403
