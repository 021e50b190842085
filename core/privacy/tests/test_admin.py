"""Privacy requests in the admin site."""

import pytest
from django.test import Client
from django.urls import reverse

from core.accounts.tests.factories import UserFactory
from core.admin.verbs import SENT
from core.privacy import jobs, lifecycle
from core.privacy.models import PrivacyRequest
from core.privacy.subject import AskedSubject
from core.privacy.tests.working import worked_on
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
ASK = "admin:core_privacyrequest_ask"


def browser(role):
    client = Client()
    client.force_login(UserFactory(username=f"staff-{role}", role=role, is_staff=True))
    return client


def test_a_dry_run_is_asked_for_looked_at_and_done():
    lead, client = LeadFactory(email="ada@x.example"), browser("admin")
    assert client.get(reverse(ASK)).status_code == 200
    wrong = client.post(reverse(ASK), {"kind": "erase", "records": "company:5", SENT: "1"})
    assert (wrong.status_code, PrivacyRequest.objects.count()) == (200, 0)
    asked = {"kind": "dry_run", "emails": "ADA@x.example\n", "records": f"lead:{lead.pk}", SENT: "1"}
    assert client.post(reverse(ASK), asked).status_code == 302
    dry = PrivacyRequest.objects.get()
    assert (dry.kind, dry.dry_run, dry.subject["emails"]) == ("erase", True, ["ada@x.example"])
    assert jobs.run(dry.pk) == "finished"
    page = client.get(reverse("admin:core_privacyrequest_change", args=[dry.pk])).content.decode()
    assert "leads: 1 deleted" in page
    assert client.get(reverse("admin:core_privacyrequest_changelist")).status_code == 200
    erase = reverse("admin:core_privacyrequest_erase", args=[dry.pk])
    assert client.get(erase).status_code == 200
    assert (Lead.objects.count(), PrivacyRequest.objects.count()) == (1, 1), "asking erases nothing"
    assert client.post(erase, {SENT: "1"}).status_code == 302
    assert PrivacyRequest.objects.filter(kind="erase", dry_run=False).count() == 1


@pytest.mark.parametrize("meanwhile", ["another", "changed", "nothing"])
def test_erase_now_erases_what_the_dry_run_showed_or_nothing(meanwhile):
    lead, client = LeadFactory(first_name="Ada", last_name="Byron", email="ada@x.example"), browser("admin")
    dry = lifecycle.begin("erase", AskedSubject(emails=("ada@x.example",)), None, dry_run=True)
    erase = reverse("admin:core_privacyrequest_erase", args=[dry.pk])
    assert client.post(erase, {SENT: "1"}).status_code == 302
    assert PrivacyRequest.objects.count() == 1, "it has shown nothing yet"
    assert jobs.run(dry.pk) == "finished"
    if meanwhile == "another":
        lead = LeadFactory(first_name="Ada", last_name="Byron", email="ada@x.example")
    elif meanwhile == "changed":
        Lead.objects.filter(pk=lead.pk).update(notes="is Bob's")
    assert client.post(erase, {SENT: "1"}).status_code == 302
    made = worked_on(PrivacyRequest.objects.get(dry_run=False))
    if meanwhile == "nothing":
        assert (made.status, Lead.objects.count()) == ("finished", 0)
    else:
        assert (made.status, made.message) == ("failed", lifecycle.OTHERS_FOUND.format(f"lead:{lead.pk}"))
        assert Lead.objects.count() == (2 if meanwhile == "another" else 1)


def test_others_see_nothing_of_it():
    client = browser("manager")
    request = PrivacyRequest.objects.create(kind="export", subject={"emails": ["ada@x.example"]})
    for name, args in ((ASK, []), ("admin:core_privacyrequest_download", [request.pk])):
        assert client.get(reverse(name, args=args)).status_code in (302, 403)
    asked = {"kind": "erase", "emails": "ada@x.example", SENT: "1"}
    assert client.post(reverse(ASK), asked).status_code in (302, 403)
    assert PrivacyRequest.objects.count() == 1
