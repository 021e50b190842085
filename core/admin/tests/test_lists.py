"""Lists as people read them: badges, money, names, and what they are narrowed by in words."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from contacts.tests.factories import CompanyFactory, ContactFactory
from core.accounts.models import User
from core.admin.filters_shown import chips
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
LEADS = "/admin/lead_management/lead/"
DEALS = "/admin/opportunities/opportunity/"


def shown(response):
    return [(chip.title, chip.text) for chip in response.context["chips"]]


def test_a_hot_lead_has_a_badge_and_any_other_nothing(browser, robin):
    LeadFactory(first_name="Hot", lead_score=90, owner=robin)
    client = browser(robin)
    assert "crm-warn" in client.get(LEADS).content.decode()
    Lead.objects.update(lead_score=10)
    page = client.get(LEADS).content.decode()
    assert "crm-warn" not in page
    assert "close_small" not in page, "no red cross says that someone is not hot"


def test_money_stands_with_its_currency_and_people_by_name(browser, staff):
    grace = staff("grace", "rep", first_name="Grace", last_name="Hopper")
    LeadFactory(first_name="A", estimated_value="16300", currency="EUR", owner=grace, assigned_to=grace)
    page = browser(grace).get(LEADS).content.decode()
    assert "€16,300" in page
    assert "Grace Hopper" in page


def test_a_deal_is_in_a_stage_by_its_name_and_late_ones_are_marked(browser, robin):
    late = timezone.localdate() - timedelta(days=9)
    about = {"expected_close_date": late, "owner": robin}
    OpportunityFactory(name="Late", stage="prospecting", amount="100.50", **about)
    OpportunityFactory(name="Won", stage="closed_won", **about)
    page = browser(robin).get(DEALS).content.decode()
    assert ">Prospecting</span>" in page
    assert ">Closed won</span>" in page
    assert "$100.50" in page
    assert page.count('title="Overdue"') == 1


def test_a_list_says_what_it_is_narrowed_by(browser, robin):
    LeadFactory(first_name="A", owner=robin)
    client = browser(robin)
    assert shown(client.get(LEADS)) == [("Archived", "Not archived")]
    filters = {"status__exact": "new", "hot": "true", "owner__id__exact": robin.pk, "q": "ada"}
    assert sorted(shown(client.get(LEADS, filters))) == [
        ("Archived", "Not archived"),
        ("Hot", "Open, score above 70"),
        ("Owner", "robin"),
        ("Search", "ada"),
        ("Status", "New"),
    ]
    assert shown(client.get(DEALS, {"stage": "proposal"}))[-1] == ("Stage", "proposal")


def test_each_filter_is_taken_away_by_itself(browser, robin):
    client = browser(robin)
    response = client.get(LEADS, {"status__exact": "new", "hot": "true"})
    found = {chip.title: chip.url for chip in response.context["chips"]}
    assert found == {
        "Status": "?hot=true",
        "Hot": "?status__exact=new",
        "Archived": "?archived=any&hot=true&status__exact=new",
    }
    shown = chips(response.context["cl"], response.wsgi_request.user)
    assert [chip.removes for chip in shown] == [True, True, False]


def test_a_long_list_is_counted_up_to_the_limit(browser, robin, settings, django_assert_max_num_queries):
    settings.CRM = {**settings.CRM, "COUNT_LIMIT": 5}
    Lead.objects.bulk_create(Lead(first_name=str(i), owner=robin) for i in range(8))
    client = browser(robin)
    with django_assert_max_num_queries(13):
        page = client.get(LEADS)
    assert (page.context["cl"].result_count, page.context["cl"].paginator.is_capped) == (5, True)
    assert "5+" in page.content.decode()


@pytest.mark.parametrize("url", [LEADS, DEALS, "/admin/tasks/task/", "/admin/contacts/contact/"])
def test_lists_take_as_many_statements_for_many_rows_as_for_one(
    browser, robin, url, django_assert_num_queries, make_rows
):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = browser(robin)
    make_rows(url, 1)
    client.get(url)
    with CaptureQueriesContext(connection) as one:
        client.get(url)
    make_rows(url, 12)
    with django_assert_num_queries(len(one)):
        assert client.get(url).status_code == 200


@pytest.fixture
def make_rows(robin):
    from contacts.tests.factories import CompanyFactory, ContactFactory

    about = {"owner": robin, "assigned_to": robin}

    def make(url, count):
        for number in range(count):
            company = CompanyFactory(name=f"C{number}", **about)
            lead = LeadFactory(first_name=str(number), **about)
            made = {
                LEADS: lambda: LeadFactory(first_name="x", **about),
                DEALS: lambda company=company: OpportunityFactory(name="x", company=company, **about),
                "/admin/tasks/task/": lambda lead=lead: TaskFactory(title="x", lead=lead, **about),
                "/admin/contacts/contact/": lambda company=company: ContactFactory(
                    first_name="x", company=company, **about
                ),
            }
            made[url]()

    return make


def test_a_record_that_one_does_not_see_is_a_number_in_filters_and_forms(browser, robin, nora):
    hidden, seen = (
        CompanyFactory(name="Secret Works", owner=nora),
        CompanyFactory(name="Open Works", owner=robin),
    )
    client = browser(robin)
    for url, parameter in (
        ("/admin/contacts/contact/", "company__id__exact"),
        ("/admin/opportunities/opportunity/board/", "company__id__exact"),
        ("/admin/contacts/contact/add/", "company"),
        ("/admin/opportunities/opportunity/add/", "company"),
    ):
        page = client.get(url, {parameter: hidden.pk}).content.decode()
        assert "Secret Works" not in page, url
        assert "Open Works" in client.get(url, {parameter: seen.pk}).content.decode(), url
    contact = ContactFactory(first_name="Ann", company=hidden, owner=robin)
    page = client.get(f"/admin/contacts/contact/{contact.pk}/change/").content.decode()
    assert "Secret Works" not in page
    assert f">company {hidden.pk}</option>" in page


def test_each_row_has_a_box_that_selects_it_in_the_language_of_its_reader(browser, staff):
    leads = [LeadFactory(first_name=name) for name in ("Ada", "Bob")]
    for language, label in (("en", "Select record"), ("de", "Datensatz auswählen")):
        reader = staff(f"reader-{language}", "admin")
        User.objects.filter(pk=reader.pk).update(language=language)
        text = browser(reader).get("/admin/lead_management/lead/").content.decode()
        boxes = re.findall(r'<input type="checkbox" name="_selected_action"[^>]*>', text)
        assert sorted(int(re.search(r'value="(\d+)"', box)[1]) for box in boxes) == [one.pk for one in leads]
        assert all(f'aria-label="{label}"' in box for box in boxes), boxes
