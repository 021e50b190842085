"""The command palette: what one sees and may open, and nothing else."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.customization.tests.factories import FieldRightFactory
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
PALETTE = "/admin/palette/"


def entries(client, text=""):
    """Titles of the palette's groups, in order."""
    answer = client.get(PALETTE, {"q": text})
    assert answer.status_code == 200
    return {str(title): [entry.title for entry in found] for title, found in answer.context["groups"]}


def test_records_are_found_of_every_entity_that_one_sees(browser, robin, nora):
    lead = LeadFactory(first_name="Ada", last_name="Byron", owner=robin)
    OpportunityFactory(name="Engine for Byron", owner=robin)
    TaskFactory(title="Call Byron", owner=robin)
    LeadFactory(first_name="Annabella", last_name="Byron", owner=nora)
    LeadFactory(last_name="Byron", owner=robin, archived_at=timezone.now())
    client = browser(robin)
    assert sorted(entries(client, "byron")["Records"]) == ["Ada Byron", "Call Byron", "Engine for Byron"]
    answer = client.get(PALETTE, {"q": "byron"})
    assert f'href="/admin/lead_management/lead/{lead.pk}/change/"' in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]


def test_every_page_has_the_palette_and_the_search_of_its_side_bar(browser, robin):
    page = browser(robin).get("/admin/").content.decode()
    assert "/static/crm/palette.js" in page
    assert "data-palette aria-keyshortcuts" in page


def test_what_is_hidden_from_a_role_finds_nothing(browser, robin):
    LeadFactory(first_name="Ada", email="ada@engine.example", owner=robin)
    assert entries(browser(robin), "engine.example")["Records"] == ["Ada"]
    FieldRightFactory(role="rep", entity="lead", field="email", access="hidden")
    assert entries(browser(robin), "engine.example")["Records"] == []


def test_pages_are_those_that_one_may_open(browser, robin, boss):
    assert "Merges" not in entries(browser(robin))["Pages"]
    assert {"Home", "Leads", "Merges"} <= set(entries(browser(boss))["Pages"])
    assert "Leads" in entries(browser(robin), "lea")["Pages"]
    assert "Add lead" in entries(browser(robin), "add lead")["Pages"]


def test_a_viewer_is_offered_nothing_to_add(browser, staff):
    assert entries(browser(staff("vera", "viewer")), "add lead")["Pages"] == []


def test_the_latest_pages_of_records_come_first_until_one_no_longer_sees_them(browser, robin, nora):
    ada, deal = LeadFactory(first_name="Ada", owner=robin), OpportunityFactory(name="Deal", owner=robin)
    client = browser(robin)
    client.get(f"/admin/lead_management/lead/{ada.pk}/change/")
    client.get(f"/admin/opportunities/opportunity/{deal.pk}/change/")
    assert entries(client)["Recent records"] == ["Deal", "Ada"]
    client.get(f"/admin/lead_management/lead/{ada.pk}/change/")
    assert entries(client)["Recent records"] == ["Ada", "Deal"]
    type(ada).objects.filter(pk=ada.pk).update(owner=nora)
    assert entries(client)["Recent records"] == ["Deal"]


def test_words_that_nothing_can_be_looked_for_by_are_said(browser, robin):
    answer = browser(robin).get(PALETTE, {"q": "x" * 2000})
    assert answer.status_code == 200
    assert "At most" in answer.content.decode()


def test_who_is_not_signed_in_gets_the_sign_in_page(client):
    assert client.get(PALETTE).status_code == 302


def test_statements_do_not_grow_with_what_is_found(browser, robin):
    client = browser(robin)

    def count():
        with CaptureQueriesContext(connection) as found:
            entries(client, "byron")
        return len(found)

    LeadFactory(last_name="Byron", owner=robin)
    count()  # what is read once per process
    few = count()
    for _ in range(5):
        LeadFactory(last_name="Byron", owner=robin)
    assert count() == few


def test_a_list_names_itself_once(browser, robin):
    """The app that a model is in has the same name; the way to the page does without it."""
    page = browser(robin).get("/admin/lead_management/lead/").content.decode()
    header = page.partition('id="header-inner"')[2].partition("</h1>")[0]
    assert header.count("Leads") == 1
