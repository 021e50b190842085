"""Saved views as tabs of a list: made of what it is narrowed by, used, shared and deleted."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core.conditions.models import SavedView
from core.customization.tests.factories import FieldRightFactory, SavedViewFactory
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
LEADS = "/admin/lead_management/lead/"
DEALS = "/admin/opportunities/opportunity/"
TASKS = "/admin/tasks/task/"
SENT = {"verb_sent": "1"}


def save(client, url, filters, name="Mine", **more):
    """Save what the list shows with these filters."""
    query = "&".join(f"{key}={value}" for key, value in filters.items())
    return client.post(f"{url}views/add/?{query}", {"name": name, **SENT, **more})


def names(answer):
    return sorted(str(row) for row in answer.context["cl"].result_list)


def tabs(answer):
    return [(str(tab.title), tab.chosen) for tab in answer.context["view_tabs"]]


def test_a_view_of_the_present_filters_is_a_tab_that_shows_the_same_rows(browser, robin):
    LeadFactory(first_name="Ada", status="new", lead_score=90, tags=["vip"], owner=robin)
    LeadFactory(first_name="Bob", status="new", lead_score=90, owner=robin)
    LeadFactory(first_name="Cyd", status="contacted", lead_score=90, tags=["vip"], owner=robin)
    client = browser(robin)
    filters = {"status__exact": "new", "hot": "true", "tag": "vip", "q": "ada", "o": "-4"}
    assert names(client.get(LEADS, filters)) == ["Ada"]
    answer = save(client, LEADS, filters, "Hot and new")
    view = SavedView.objects.get()
    assert answer.headers["location"] == f"{LEADS}?view={view.pk}"
    assert (view.owner, view.is_shared, view.search, view.ordering) == (robin, False, "ada", "-lead_score")
    shown = client.get(LEADS, {"view": view.pk})
    assert names(shown) == ["Ada"]
    assert tabs(shown) == [("All", False), ("Hot and new", True)]
    assert ("View", "Hot and new") in [(str(chip.title), chip.text) for chip in shown.context["chips"]]
    assert "Status is New" in shown.content.decode()
    assert tabs(client.get(LEADS)) == [("All", True), ("Hot and new", False)]


@pytest.mark.parametrize(
    ("url", "filters"),
    [
        (LEADS, {"status__exact": "new"}),
        (LEADS, {"lead_score_from": "50", "lead_score_to": "95"}),
        (LEADS, {"hot": "left_alone"}),
        (LEADS, {"follow_up": "due"}),
        (LEADS, {"follow_up": "none"}),
        (LEADS, {"assignment": "mine"}),
        (LEADS, {"assignment": "nobody"}),
        (LEADS, {"created": "7d"}),
        (LEADS, {"created": "0d"}),
        (DEALS, {"closing": "soon"}),
        (DEALS, {"closing": "late"}),
        (DEALS, {"status__exact": "open"}),
        (TASKS, {"due": "overdue"}),
        (TASKS, {"due": "today"}),
        (TASKS, {"due": "later_today"}),
        (TASKS, {"due": "now"}),
        (TASKS, {"due": "open"}),
    ],
)
def test_every_filter_is_kept_as_it_narrows(browser, boss, robin, url, filters):
    now = timezone.now()
    LeadFactory(status="new", lead_score=90, owner=boss, created_at=now)
    LeadFactory(status="lost", lead_score=95, owner=robin, assigned_to=boss, next_follow_up_at=now)
    LeadFactory(status="contacted", lead_score=60, owner=robin, next_follow_up_at=now, last_contacted_at=now)
    old = LeadFactory(status="nurturing", lead_score=80, last_contacted_at=now - timedelta(days=9))
    type(old).objects.filter(pk=old.pk).update(created_at=now - timedelta(days=20))
    for days in (-3, 0, 5, 40):
        day = timezone.localdate() + timedelta(days=days)
        OpportunityFactory(expected_close_date=day, owner=boss)
        TaskFactory(due_date=now + timedelta(days=days, minutes=1), owner=boss)
    OpportunityFactory(expected_close_date=timezone.localdate(), stage="closed_won", owner=boss)
    TaskFactory(due_date=None, owner=boss)
    TaskFactory(due_date=now, status="completed", owner=boss)
    client = browser(boss)
    wanted = {row.pk for row in client.get(url, filters).context["cl"].result_list}
    assert save(client, url, filters).status_code == 302
    found = client.get(url, {"view": SavedView.objects.get().pk}).context["cl"]
    assert {row.pk for row in found.result_list} == wanted
    assert wanted


def test_what_a_view_cannot_hold_is_said_before_it_is_saved(browser, robin):
    page = browser(robin).get(f"{DEALS}views/add/?closing=won_this_month&archived=true")
    assert "Not kept, for a view cannot hold it: Closing" in page.content.decode()
    assert SavedView.objects.count() == 0


def test_a_view_chooses_columns_and_none_that_is_hidden(browser, robin):
    LeadFactory(first_name="Ada", city="Turin", email="ada@engine.example", owner=robin)
    client = browser(robin)
    save(client, LEADS, {}, fields_shown=["city", "email", "owner"])
    view = SavedView.objects.get()
    assert view.fields == ["city", "email", "owner"]
    page = client.get(LEADS, {"view": view.pk}).content.decode()
    assert "Turin" in page
    assert "ada@engine.example" in page
    FieldRightFactory(role="rep", entity="lead", field="email", access="hidden")
    page = client.get(LEADS, {"view": view.pk}).content.decode()
    assert "Turin" in page
    assert "ada@engine.example" not in page


def test_a_view_is_private_until_it_is_shared_and_shows_everyone_their_own_rows(browser, robin, nora):
    LeadFactory(first_name="Robins", owner=robin)
    LeadFactory(first_name="Noras", owner=nora)
    client, other = browser(robin), browser(nora)
    save(client, LEADS, {"status__exact": "new"}, "Private")
    save(client, LEADS, {"status__exact": "new"}, "Everyone's", is_shared="on")
    private, shared = SavedView.objects.order_by("id")
    assert tabs(other.get(LEADS)) == [("All", True), ("Everyone's", False)]
    assert names(other.get(LEADS, {"view": shared.pk})) == ["Noras"]
    assert other.get(LEADS, {"view": private.pk}).headers["location"].endswith("?e=1")
    assert other.post(f"{LEADS}views/{shared.pk}/delete/", SENT).status_code == 404
    assert other.post(f"{LEADS}views/{private.pk}/delete/", SENT).status_code == 404
    assert SavedView.objects.count() == 2


def test_its_owner_deletes_a_view_after_being_asked(browser, robin):
    view = SavedViewFactory(owner=robin, entity="lead", name="Old")
    client = browser(robin)
    url = f"{LEADS}views/{view.pk}/delete/"
    assert url in client.get(LEADS, {"view": view.pk}).content.decode()
    assert client.get(url).status_code == 200
    assert SavedView.objects.count() == 1
    assert client.post(url, SENT).headers["location"] == LEADS
    assert SavedView.objects.count() == 0


def test_a_name_that_one_has_already_is_refused_beside_it(browser, robin):
    SavedViewFactory(owner=robin, entity="lead", name="Mine")
    answer = save(browser(robin), LEADS, {})
    assert answer.context["form"].errors == {"name": ["You have a view of this name already."]}
    assert SavedView.objects.count() == 1


def test_a_view_whose_conditions_no_longer_hold_shows_nothing_and_says_why(browser, robin):
    LeadFactory(owner=robin)
    view = SavedViewFactory(owner=robin, entity="lead", conditions={"custom_fields.gone": "x"})
    answer = browser(robin).get(LEADS, {"view": view.pk})
    assert names(answer) == []
    assert "The view cannot be used" in answer.content.decode()


def test_the_board_shows_what_the_view_does(browser, robin):
    LeadFactory(first_name="Ada", city="Turin", owner=robin)
    LeadFactory(first_name="Bob", owner=robin)
    view = SavedViewFactory(owner=robin, entity="lead", conditions={"city": "Turin"})
    answer = browser(robin).get(f"{LEADS}board/", {"view": view.pk})
    cards = [card.title for drawn in answer.context["columns"] for card in drawn.cards]
    assert cards == ["Ada"]


GARBAGE = [
    "assignment=x",
    "created=x",
    "hot=x",
    "archived=x",
    "tag=%20",
    "tag=%00",
    "created_at_from_0=2026-02-31&created_at_from_1=10:00",
    "created_at_from_0=x&created_at_from_1=x",
    "lead_score_from=2026-02-31",
    "lead_score_from=x&lead_score_to=%00",
    "o=" + "9" * 5_000,
    "o=-" + "9" * 5_000,
    "o=1.x.-.%C2%B2.99",
]


@pytest.mark.parametrize("query", GARBAGE)
@pytest.mark.parametrize("page", ["views/add/", "export"])
def test_garbage_in_the_address_of_a_list_breaks_no_page_of_it(browser, robin, page, query):
    address = f"/admin/export/?of=lead&{query}" if page == "export" else f"{LEADS}{page}?{query}"
    assert browser(robin).get(address).status_code in (200, 302)
    assert SavedView.objects.count() == 0


@pytest.mark.parametrize(
    "filters",
    [
        {"created_at_from_0": "2026-01-31"},
        {"created_at_from_0": "2026-01-31", "created_at_from_1": ""},
        {"created_at_to_0": "", "created_at_to_1": "10:00"},
        {"assignment": "x"},
        {"tag": "%20"},
    ],
)
def test_what_asks_a_list_for_nothing_asks_a_view_for_nothing(browser, robin, filters):
    LeadFactory(first_name="Ada", owner=robin)
    client = browser(robin)
    query = "&".join(f"{key}={value}" for key, value in filters.items())
    assert names(client.get(f"{LEADS}?{query}")) == ["Ada"]
    assert "Not kept" not in client.get(f"{LEADS}views/add/?{query}").content.decode()
    save(client, LEADS, filters)
    assert SavedView.objects.get().conditions == {}


def test_a_search_in_a_view_is_kept_beside_its_own(browser, robin):
    LeadFactory(first_name="Ada", city="Turin", owner=robin)
    LeadFactory(first_name="Ada", city="Oslo", owner=robin)
    LeadFactory(first_name="Bob", city="Turin", owner=robin)
    view = SavedViewFactory(owner=robin, entity="lead", name="Adas", search="ada")
    client = browser(robin)
    shown = client.get(LEADS, {"view": view.pk, "q": "turin"}).context["cl"].result_list
    save(client, LEADS, {"view": view.pk, "q": "turin"})
    made = SavedView.objects.get(name="Mine")
    assert made.search == "ada turin"
    found = client.get(LEADS, {"view": made.pk}).context["cl"].result_list
    assert [row.pk for row in found] == [row.pk for row in shown]
    assert len(found) == 1


def test_a_search_that_finds_no_room_beside_another_is_named(browser, robin):
    words = " ".join("abcdefgh")
    view = SavedViewFactory(owner=robin, entity="lead", search=words)
    page = browser(robin).get(f"{LEADS}views/add/?view={view.pk}&q=u+v+w")
    assert f"Not kept, for a view cannot hold it: Search “{words}”" in page.content.decode()


def test_a_name_that_another_request_took_meanwhile_is_refused_beside_it(browser, robin, monkeypatch):
    SavedViewFactory(owner=robin, entity="lead", name="Mine")
    monkeypatch.setattr(SavedView, "validate_constraints", lambda self, **options: None)
    answer = save(browser(robin), LEADS, {})
    assert answer.context["form"].errors == {"name": ["You have a view of this name already."]}
    assert SavedView.objects.count() == 1


@pytest.mark.parametrize(
    ("language", "typed"), [("de", "05.02.2027"), ("fr", "05/02/2027"), ("en", "2027-02-05")]
)
def test_a_date_is_read_as_its_reader_writes_it(browser, robin, language, typed):
    user = type(robin).objects.get(pk=robin.pk)
    user.language = language
    user.save(update_fields=["language"])
    for name, day in {"early": "2027-02-04", "right": "2027-02-05", "late": "2027-05-02"}.items():
        OpportunityFactory(name=name, owner=user, expected_close_date=day)
    client = browser(user)
    asked = {"expected_close_date_from": typed, "expected_close_date_to": typed}
    assert names(client.get(DEALS, asked)) == ["right"]
    save(client, DEALS, asked)
    bounds = [("gte", "2027-02-05"), ("lte", "2027-02-05")]
    assert [(c["op"], c["value"]) for c in SavedView.objects.get().conditions["all"]] == bounds
    SavedView.objects.all().delete()
    moment = {"created_at_to_0": typed, "created_at_to_1": "10:00:00"}
    save(client, DEALS, moment)
    assert SavedView.objects.get().conditions["all"][0]["value"].startswith("2027-02-05T10:00:00")
    assert names(client.get(DEALS, moment)) == ["early", "late", "right"]
    assert names(client.get(DEALS, {"created_at_from_0": typed, "created_at_from_1": "10:00:00"})) == []


def test_what_is_no_date_is_said(browser, robin):
    OpportunityFactory(name="one", owner=robin)
    answer = browser(robin).get(DEALS, {"expected_close_date_from": "31.31.2027"})
    assert names(answer) == ["one"]
    assert "31.31.2027 (the list is not narrowed by what is no date)" in [
        chip.text for chip in answer.context["chips"]
    ]
