"""Records in the admin site: the same rows, rules and trail as through the API."""

import pytest

from contacts.models import Contact
from core.admin.tests.forms import filled_in
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory
from core.duplicates.tests.factories import DuplicateRuleFactory
from core.entities.models import DuplicateRule
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.models import Opportunity
from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
LEADS = "/admin/lead_management/lead/"


@pytest.fixture
def lead(robin):
    return LeadFactory(first_name="Ada", email="ada@engines.example", owner=robin)


def page(lead):
    return f"{LEADS}{lead.pk}/change/"


def save(client, url, **changes):
    return client.post(url, filled_in(client.get(url), **changes))


def refusals(response):
    form = response.context["adminform"].form
    return {name: list(texts) for name, texts in form.errors.items()}


def said(response):
    return [str(m) for m in response.context["messages"]]


def test_a_save_is_captured_with_its_actor_and_where_it_came_from(browser, robin, lead):
    response = save(browser(robin), page(lead), first_name="Grace")
    assert response.status_code == 302
    change = Change.objects.get(entity="lead", object_id=lead.pk, kind="updated")
    assert change.changes == {"first_name": ["Ada", "Grace"]}
    assert (change.actor_id, change.source) == (robin.pk, "admin")
    assert change.request_id == response["X-Request-ID"]


def test_saving_a_page_untouched_changes_nothing(browser, robin, lead):
    Lead.objects.filter(pk=lead.pk).update(
        tags=["a, b", "c"], custom_fields={}, phone="+14155550123", estimated_value="10.50"
    )
    before = Change.objects.count()
    assert save(browser(robin), page(lead)).status_code == 302
    assert Change.objects.count() == before
    assert Lead.objects.get().tags == ["a, b", "c"]


def test_a_new_record_belongs_to_who_made_it_and_is_cleaned(browser, robin):
    client = browser(robin)
    response = save(
        client,
        f"{LEADS}add/",
        first_name=" Joan ",
        email="JOAN@x.example",
        phone="(415) 555-0123",
        country="USA",
    )
    assert response.status_code == 302, refusals(response)
    made = Lead.objects.get()
    assert (made.first_name, made.email, made.phone) == ("Joan", "joan@x.example", "+14155550123")
    assert (made.owner, made.created_by, made.status) == (robin, robin, "new")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"phone": "call me"}, "phone"),
        ({"status": "lost"}, "lost_reason"),
        ({"status": "converted"}, "status"),
        ({"estimated_value": "-1"}, "estimated_value"),
        ({"assigned_to": "99999"}, "assigned_to"),
        ({"first_name": "a\x00b"}, "first_name"),
    ],
)
def test_the_rules_of_the_api_hold_and_are_shown_at_their_field(browser, robin, lead, change, field):
    before = Change.objects.count()
    response = save(browser(robin), page(lead), **change)
    assert response.status_code == 200
    assert field in refusals(response)
    assert Change.objects.count() == before


def test_a_reference_to_what_one_does_not_see_is_refused(browser, robin, nora):
    hers = LeadFactory(first_name="Hers", owner=nora)
    mine = TaskFactory(title="Call", owner=robin)
    url = f"/admin/tasks/task/{mine.pk}/change/"
    response = save(browser(robin), url, lead=str(hers.pk))
    assert response.status_code == 200
    assert "lead" in refusals(response)
    assert Task.objects.get().lead_id is None


def test_giving_a_record_out_of_ones_own_reach_is_refused_and_undone(browser, robin, nora, lead):
    response = save(browser(robin), page(lead), owner=str(nora.pk), first_name="Gone")
    assert response.status_code == 200
    assert refusals(response) == {"__all__": ["This would put the record out of your own reach."]}
    lead.refresh_from_db()
    assert (lead.first_name, lead.owner) == ("Ada", robin)


def test_a_page_opened_before_somebody_elses_change_is_refused(browser, robin, boss, lead):
    client = browser(robin)
    opened = filled_in(client.get(page(lead)), first_name="Mine")
    save(browser(boss), page(lead), last_name="Theirs")
    response = client.post(page(lead), opened)
    assert "Somebody changed this record" in refusals(response)["__all__"][0]
    lead.refresh_from_db()
    assert (lead.first_name, lead.last_name) == ("Ada", "Theirs")


def test_staff_see_the_records_of_their_role_only(browser, robin, nora, boss, lead):
    LeadFactory(first_name="Other", owner=nora)
    rows = lambda user: {r.first_name for r in browser(user).get(LEADS).context["cl"].result_list}  # noqa: E731
    assert rows(robin) == {"Ada"}
    assert rows(nora) == {"Other"}
    assert rows(boss) == {"Ada", "Other"}


@pytest.mark.parametrize("below", ["change/", "history/", "delete/", "convert/"])
def test_anothers_record_is_not_there(browser, nora, lead, below):
    response = browser(nora).get(f"{LEADS}{lead.pk}/{below}")
    assert response.status_code in (302, 403, 404)
    assert b"ada@engines" not in response.content


def test_another_cannot_save_anothers_record(browser, robin, nora, lead):
    sent = filled_in(browser(robin).get(page(lead)), first_name="Stolen")
    browser(nora).post(page(lead), sent)
    assert Lead.objects.get().first_name == "Ada"


def test_a_viewer_looks_and_changes_nothing(browser, staff, robin, lead):
    viewer = staff("vera", "viewer", team=robin.team)
    client = browser(viewer)
    assert client.get(page(lead)).status_code == 200
    assert client.post(page(lead), {"first_name": "X"}).status_code == 403
    assert client.get(f"{LEADS}add/").status_code == 403
    sent = {"action": "archive", "_selected_action": [lead.pk]}
    client.post(LEADS, sent)
    assert Lead.objects.get().archived_at is None


def test_search_finds_what_the_api_finds(browser, boss, lead):
    LeadFactory(first_name="Other", email="other@x.example", owner=boss)
    found = browser(boss).get(LEADS, {"q": "ENGINES ada"}).context["cl"].result_list
    assert [r.pk for r in found] == [lead.pk]
    assert len(browser(boss).get(LEADS, {"q": "x" * 300}).context["cl"].result_list) == 0


def test_filters_do_not_walk_to_secrets(browser, robin, lead):
    response = browser(robin).get(LEADS, {"assigned_to__password__startswith": "a"})
    assert response.status_code in (302, 400)


def test_assigning_asks_whom_and_shares_in_turn(browser, boss, robin, nora):
    ids = [LeadFactory(first_name=str(i), owner=boss).pk for i in range(4)]
    client = browser(boss)
    asked = client.post(LEADS, {"action": "assign", "_selected_action": ids})
    assert asked.status_code == 200
    assert Lead.objects.filter(assigned_to=None).count() == 4
    sent = filled_in(asked, users=[nora.pk, robin.pk], method="round_robin")
    response = client.post(LEADS, sent, follow=True)
    assert said(response) == ["4 assigned."]
    assert set(Lead.objects.filter(assigned_to=nora).values_list("pk", flat=True)) == {ids[0], ids[2]}
    assert set(Change.objects.filter(kind="updated").values_list("source", "actor_id")) == {
        ("admin", boss.pk)
    }


def test_archiving_and_restoring_many(browser, robin, nora, lead):
    hers = LeadFactory(first_name="Hers", owner=nora)
    client = browser(robin)
    sent = {"action": "archive", "_selected_action": [lead.pk, hers.pk]}
    assert said(client.post(LEADS, sent, follow=True)) == ["1 archived."]
    hers.refresh_from_db()
    assert hers.archived_at is None
    assert not client.get(LEADS).context["cl"].result_list
    assert len(client.get(LEADS, {"archived": "true"}).context["cl"].result_list) == 1
    assert client.post(page(lead), {"first_name": "X"}).status_code == 403
    sent = {"action": "restore", "_selected_action": [lead.pk]}
    assert said(client.post(f"{LEADS}?archived=true", sent, follow=True)) == ["1 restored."]
    assert list(Change.objects.filter(object_id=lead.pk).order_by("id").values_list("kind", flat=True)) == [
        "created",
        "archived",
        "restored",
    ]


def test_only_administrators_delete_for_good(browser, robin, boss, lead):
    url = f"{LEADS}{lead.pk}/delete/"
    assert browser(robin).post(url, {"post": "yes"}).status_code == 403
    assert Lead.objects.filter(pk=lead.pk).exists()
    assert browser(boss).post(url, {"post": "yes"}).status_code == 302
    assert Change.objects.get(kind="deleted").actor_id == boss.pk


def test_a_lead_is_converted_on_its_page_once(browser, robin, lead):
    url = f"{LEADS}{lead.pk}/convert/"
    client = browser(robin)
    asked = client.get(url)
    lead.refresh_from_db()
    text = asked.content.decode()
    assert f"New contact: {lead}" in text
    assert "New company: engines.example" in text
    assert (lead.status, Opportunity.objects.count()) == ("new", 0), "asking converts nothing"
    sent = filled_in(asked)
    response = client.post(url, sent, follow=True)
    assert "Converted: new company" in said(response)[0]
    lead.refresh_from_db()
    assert lead.status == "converted"
    assert client.post(url, sent).status_code == 403
    assert Opportunity.objects.count() == 1


def test_converting_many_shows_which_could_not_be(browser, robin, lead):
    done = LeadFactory(first_name="Done", status="converted", owner=robin)
    client = browser(robin)
    asked = client.post(LEADS, {"action": "convert_selected", "_selected_action": [lead.pk, done.pk]})
    sent = filled_in(asked)
    sent.pop("create_opportunity")
    response = client.post(LEADS, sent, follow=True)
    assert said(response) == ["1 converted.", f"1 not converted: {done}: The lead is converted already."]
    assert not Opportunity.objects.exists()


def test_the_history_shows_every_door(browser, robin, lead):
    save(browser(robin), page(lead), first_name="Grace")
    Lead.objects.filter(pk=lead.pk).update(last_name="<b>Hopper</b>")
    text = browser(robin).get(f"{LEADS}{lead.pk}/history/").content.decode()
    assert "robin (admin)" in text
    assert "First name: <del>Ada</del> → <ins>Grace</ins>" in text
    assert "&lt;b&gt;Hopper" in text


def test_custom_fields_are_replaced_as_shown(browser, robin, lead):
    CustomFieldFactory(entity="lead", key="budget", type="money")
    CustomFieldFactory(entity="lead", key="plan", type="text")
    client = browser(robin)
    save(client, page(lead), custom__budget="10", custom__plan="big")
    lead.refresh_from_db()
    assert lead.custom_fields == {"budget": "10.00", "plan": "big"}
    save(client, page(lead), custom__budget="", custom__plan="small")
    lead.refresh_from_db()
    assert lead.custom_fields == {"plan": "small"}


def test_possible_duplicates_are_named(browser, robin):
    client = browser(robin)
    url = "/admin/contacts/contact/add/"
    save(client, url, first_name="Ada", last_name="Byron", email="ada@x.example")
    response = client.post(
        url, filled_in(client.get(url), first_name="A", email="ada@x.example"), follow=True
    )
    assert any("Possible duplicates: Ada Byron" in text for text in said(response))


def test_rules_about_duplicates_warn_and_refuse(browser, robin):
    rule = DuplicateRuleFactory(entity="contact", compare="name_company", on_create="warn")
    client, url = browser(robin), "/admin/contacts/contact/add/"
    ada = {"first_name": "Ada", "last_name": "Byron", "company_name": "Acme"}
    save(client, url, **ada)
    response = client.post(url, filled_in(client.get(url), **ada), follow=True)
    named = f"{rule.name}: possible duplicate of contact Ada Byron ("
    assert any(named in text for text in said(response))
    assert Contact.objects.count() == 2
    DuplicateRule.objects.update(on_create="refuse")
    response = client.post(url, filled_in(client.get(url), **ada), follow=True)
    assert named in response.content.decode()
    assert Contact.objects.count() == 2


def test_a_task_is_completed_from_the_list_and_its_series_goes_on(browser, robin):
    from django.utils import timezone

    task = TaskFactory(title="Call", owner=robin, due_date=timezone.now(), recurrence="FREQ=DAILY")
    url = "/admin/tasks/task/"
    sent = {"action": "complete", "_selected_action": [task.pk]}
    assert said(browser(robin).post(url, sent, follow=True)) == ["1 completed."]
    assert list(Task.objects.order_by("id").values_list("status", flat=True)) == ["completed", "pending"]


def test_the_number_of_queries_of_a_list_does_not_grow_with_it(
    browser, boss, django_assert_max_num_queries, django_assert_num_queries
):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = browser(boss)
    LeadFactory(first_name="One", owner=boss, assigned_to=boss)
    client.get(LEADS)
    with CaptureQueriesContext(
        connection,
    ) as one:
        client.get(LEADS)
    Lead.objects.bulk_create(Lead(first_name=str(i), owner=boss, assigned_to=boss) for i in range(30))
    with django_assert_num_queries(len(one)):
        client.get(LEADS)
