"""A record's page: what matters on top, what belongs to it, its timeline, and logging what was done."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from contacts.tests.factories import CompanyFactory, ContactFactory
from core.activities.models import Activity, Comment, Mention
from core.activities.tests.factories import ActivityFactory
from core.admin.tests.forms import filled_in
from core.admin.tests.test_records import LEADS, page, save
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.models import Opportunity
from opportunities.tests.factories import OpportunityFactory
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
COMPANY = "/admin/contacts/company/{}/change/"


@pytest.fixture
def lead(robin):
    return LeadFactory(first_name="Ada", email="ada@engines.example", owner=robin, lead_score=90)


def around(client, url):
    return client.get(url).context["record_page"]


def facts(shown):
    return {str(fact.label): str(fact.text) for fact in shown["summary"].facts}


def test_what_matters_stands_on_top(browser, robin, lead):
    Lead.objects.filter(pk=lead.pk).update(estimated_value="500", currency="EUR", phone="+4930123456")
    response = browser(robin).get(page(lead))
    found = facts(response.context["record_page"])
    assert (found["E-mail"], found["Value"], found["Owner"]) == ("ada@engines.example", "€500", "robin")
    text = response.content.decode()
    assert 'href="mailto:ada@engines.example"' in text
    assert 'href="tel:+4930123456"' in text
    assert ">Hot</span>" in text


def test_the_reasons_of_a_score_are_signed_and_add_up(browser, robin):
    lead = LeadFactory(first_name="Ada", lead_source="referral", owner=robin)
    summary = around(browser(robin), page(lead))["summary"]
    assert "Source: Referral +20" in [reason.text for reason in summary.reasons]
    assert {reason.share for reason in summary.reasons} <= set(range(1, 101))
    assert summary.score_detail.startswith("from 50, ")


def test_a_converted_lead_leads_to_what_it_became_and_back(browser, robin, lead):
    client = browser(robin)
    client.post(f"{LEADS}{lead.pk}/convert/", filled_in(client.get(f"{LEADS}{lead.pk}/convert/")))
    lead.refresh_from_db()
    links = [fact.url for fact in around(client, page(lead))["summary"].facts if fact.label == "Converted to"]
    assert f"/admin/contacts/contact/{lead.converted_contact_id}/change/" in links
    back = around(client, f"/admin/contacts/contact/{lead.converted_contact_id}/change/")
    [panel] = [panel for panel in back["panels"] if panel.title == "Converted from"]
    assert [line.url for line in panel.lines] == [page(lead)]


def test_a_company_shows_its_people_and_deals_but_not_those_of_others(browser, robin, nora):
    company = CompanyFactory(name="Engines", owner=robin)
    ContactFactory(first_name="Mine", company=company, owner=robin)
    ContactFactory(first_name="Hers", company=company, owner=nora)
    OpportunityFactory(name="Deal", company=company, owner=robin)
    OpportunityFactory(name="Her deal", company=company, owner=nora)
    TaskFactory(title="Call", company=company, owner=robin)
    client = browser(robin)
    panels = {panel.title: panel for panel in around(client, COMPANY.format(company.pk))["panels"]}
    lines = {title: [line.title for line in panel.lines] for title, panel in panels.items()}
    assert lines == {"Contacts": ["Mine"], "Opportunities": ["Deal"], "Open tasks": ["Call"]}
    for panel in panels.values():
        assert client.get(panel.url).context["cl"].result_count == 1
        assert client.get(panel.add_url).status_code == 200


def test_a_call_is_logged_on_the_page(browser, robin, lead):
    client = browser(robin)
    sent = {name: value for name, value in filled_in(client.get(page(lead))).items() if "activity-" in name}
    url = f"{LEADS}{lead.pk}/log/activity/"
    data = sent | {"activity-type": "call", "activity-subject": "Asked for a quote"}
    assert client.post(url, data).status_code == 302
    activity = Activity.objects.get()
    assert (activity.entity, activity.object_id, activity.author) == ("lead", lead.pk, robin)
    assert (activity.type, activity.subject) == ("call", "Asked for a quote")
    change = Change.objects.get(entity="activity")
    assert (change.source, change.actor_id) == ("admin", robin.pk)
    # The form takes whole seconds, so that it may stand before what the same second brought.
    [call] = [entry for entry in around(client, page(lead))["timeline"] if entry.icon == "call"]
    assert (call.who, call.title) == ("robin", "Asked for a quote")


def test_a_comment_notifies_whom_it_mentions(browser, robin, staff, lead):
    mate = staff("wanda", "manager", team=robin.team)
    client = browser(robin)
    url = f"{LEADS}{lead.pk}/log/comment/"
    assert client.post(url, {"comment-body": "Ask @wanda"}).status_code == 302
    assert (Comment.objects.get().author, Mention.objects.get().user) == (robin, mate)
    assert around(client, page(lead))["timeline"][0].body == "Ask @wanda"


@pytest.mark.parametrize(
    "data",
    [
        {"activity-type": "call", "activity-direction": "outbound", "activity-subject": ""},
        {"activity-type": "dance", "activity-direction": "outbound", "activity-subject": "x"},
        {
            "activity-type": "call",
            "activity-direction": "outbound",
            "activity-subject": "x",
            "activity-happened_at_0": "2999-01-01",
            "activity-happened_at_1": "10:00",
        },
    ],
)
def test_what_cannot_be_logged_is_refused_and_says_why(browser, robin, lead, data):
    response = browser(robin).post(f"{LEADS}{lead.pk}/log/activity/", data, follow=True)
    assert [message.level_tag for message in response.context["messages"]][-1] == "error"
    assert not Activity.objects.exists()


def test_nobody_logs_on_what_they_do_not_see_or_only_look_at(browser, staff, nora, robin, lead):
    url, data = f"{LEADS}{lead.pk}/log/comment/", {"comment-body": "x"}
    assert browser(nora).post(url, data).status_code == 404
    viewer = browser(staff("vera", "viewer", team=robin.team))
    assert around(viewer, page(lead))["logs"] == []
    assert viewer.post(url, data).status_code == 403
    Lead.objects.filter(pk=lead.pk).update(archived_at=timezone.now())
    assert browser(robin).post(url, data).status_code == 403
    assert not Comment.objects.exists()


def test_the_history_names_people_and_records(browser, robin, staff, lead):
    grace = staff("grace", "rep", first_name="Grace", last_name="Hopper", team=robin.team)
    Lead.objects.filter(pk=lead.pk).update(assigned_to=grace, status="qualified", do_not_contact=True)
    client = browser(robin)
    [changed, *_rest] = around(client, page(lead))["timeline"]
    assert {one.label: (one.old, one.new) for one in changed.differences} == {
        "Assigned to": ("-", "Grace Hopper"),
        "Status": ("New", "Qualified"),
        "Do not contact": ("no", "yes"),
    }
    assert "Grace Hopper" in client.get(f"{LEADS}{lead.pk}/history/").content.decode()


def test_a_stage_is_called_by_its_name_and_nobody_is_the_system(browser, robin):
    deal = OpportunityFactory(owner=robin)
    Opportunity.objects.filter(pk=deal.pk).update(stage="closed_won")
    shown = around(browser(robin), f"/admin/opportunities/opportunity/{deal.pk}/change/")
    change = next(item for item in shown["timeline"] if item.differences)
    assert str(change.who) == "The system"
    assert ("Stage", "Prospecting", "Closed won") in [
        (one.label, one.old, one.new) for one in change.differences
    ]


def test_a_record_that_one_does_not_see_stays_a_number_in_history(browser, robin, nora):
    hers = LeadFactory(first_name="Secret", owner=nora)
    task = TaskFactory(title="Call", owner=robin)
    type(task).objects.filter(pk=task.pk).update(lead=hers)
    [changed, *_rest] = around(browser(robin), f"/admin/tasks/task/{task.pk}/change/")["timeline"]
    assert [(one.label, one.new) for one in changed.differences] == [("Lead", f"lead {hers.pk}")]


def test_custom_fields_have_inputs_by_their_type(browser, robin, nora, lead):
    for key, kind in (
        ("budget", "money"), ("ends", "date"), ("calls", "number"), ("met", "datetime"), ("vip", "boolean"),
        ("site", "url"), ("note", "text"), ("by", "user"),
    ):  # fmt: skip
        CustomFieldFactory(entity="lead", key=key, type=kind)
    CustomFieldFactory(entity="lead", key="plan", type="choice", choices=["small", "big"])
    CustomFieldFactory(entity="lead", key="areas", type="multi_choice", choices=["a", "b", "c"])
    client = browser(robin)
    entered = {
        "custom__budget": "1234.5", "custom__ends": "2026-05-01", "custom__calls": "3", "custom__vip": "true",
        "custom__met_0": "2026-05-01", "custom__met_1": "10:30:00", "custom__site": "x.example",
        "custom__note": "n", "custom__plan": "big", "custom__areas": ["a", "c"], "custom__by": nora.pk,
    }  # fmt: skip
    response = save(client, page(lead), **entered)
    assert response.status_code == 302, response.context["adminform"].form.errors
    lead.refresh_from_db()
    kept = lead.custom_fields
    assert kept.pop("met").startswith("2026-05-01T10:30:00")
    assert kept == {
        "budget": "1234.50", "ends": "2026-05-01", "calls": 3, "vip": True, "site": "https://x.example",
        "note": "n", "plan": "big", "areas": ["a", "c"], "by": nora.pk,
    }  # fmt: skip
    before = Change.objects.count()
    assert save(client, page(lead)).status_code == 302
    assert Change.objects.count() == before, "saving the page untouched changes nothing"


def test_a_custom_field_that_is_refused_says_so_at_its_input(browser, robin, lead):
    CustomFieldFactory(entity="lead", key="budget", type="money")
    CustomFieldFactory(entity="lead", key="code", type="text", required=True)
    response = save(browser(robin), page(lead), custom__budget="-99999999999999999999")
    assert "custom__budget" in response.context["adminform"].form.errors
    lead.refresh_from_db()
    assert lead.custom_fields == {}


def test_who_may_not_change_a_record_reads_its_custom_fields(browser, staff, robin, lead):
    CustomFieldFactory(entity="lead", key="plan", type="text")
    Lead.objects.filter(pk=lead.pk).update(custom_fields={"plan": "enterprise"})
    text = browser(staff("vera", "viewer", team=robin.team)).get(page(lead)).content.decode()
    assert "plan: enterprise" in text
    assert 'name="custom__plan"' not in text


def test_a_page_takes_as_many_statements_however_much_hangs_on_it(browser, robin):
    company = CompanyFactory(name="Engines", owner=robin)
    client = browser(robin)
    url = COMPANY.format(company.pk)
    ContactFactory(first_name="x", company=company, owner=robin)
    ActivityFactory(record=company, author=robin)

    def count():
        with CaptureQueriesContext(connection) as found:
            assert client.get(url).status_code == 200
        return len(found)

    count()
    few = count()
    for number in range(12):
        ContactFactory(first_name=str(number), company=company, owner=robin)
        at = timezone.now() - timedelta(hours=number)
        ActivityFactory(record=company, author=robin, happened_at=at)
    # Five of them look for possible duplicates by the comparisons and the rules there are.
    assert count() == few <= 42
