"""The side bar: pages by job, each only for whoever may open it."""

import pytest

from backend.local_apps import LOCAL_APPS

pytestmark = pytest.mark.django_db


def groups(client):
    bar = client.get("/admin/").context["sidebar_navigation"]
    return {str(group.get("title", "")): [str(item["title"]) for item in group["items"]] for group in bar}


def test_an_administrator_finds_everything_by_job_and_the_scheduler_last(browser, boss):
    found = groups(browser(boss))
    assert list(found) == ["", "Sell", "Automate", "Data", "People", "System", "Scheduler tables"]
    assert found[""] == ["Home"]
    sold = ["Leads", "Opportunities", "Contacts", "Companies", "Tasks", "Reports", "Goals"]
    assert [title for title in found["Sell"] if title in sold] == sold
    assert "Solar events" in found["Scheduler tables"]
    assert "Solar events" not in [title for group in list(found)[:-1] for title in found[group]]


def test_system_tables_are_folded(browser, boss):
    bar = browser(boss).get("/admin/").context["sidebar_navigation"]
    folded = {str(group["title"]) for group in bar if group.get("collapsible")}
    assert folded == {"System", "Scheduler tables"}


@pytest.mark.parametrize("role", ["rep", "viewer"])
def test_who_only_sells_or_looks_is_shown_no_page_that_refuses_them(browser, staff, role):
    client = browser(staff("someone", role))
    bar = client.get("/admin/").context["sidebar_navigation"]
    titles = [str(group.get("title", "")) for group in bar]
    assert "Sell" in titles
    assert not {"System", "Scheduler tables"} & set(titles)
    for group in bar:
        for item in group["items"]:
            assert client.get(item["link"]).status_code == 200, item


def test_every_page_of_ours_has_a_place():
    from django.contrib import admin

    from core.admin.navigation import TITLES

    pages = [page for page in admin.site._registry.values() if page.model._meta.app_label in LOCAL_APPS]
    groups = {page.model.__name__: getattr(getattr(page, "menu", None), "group", "") for page in pages}
    without = [name for name, group in groups.items() if group not in TITLES]
    assert without == []


@pytest.mark.parametrize(
    ("address", "title"),
    [("/admin/", "Home"), ("/admin/core/goal/", "Goals"), ("/admin/core/goal/reports/", "Reports")],
)
def test_the_page_one_is_on_is_marked_and_no_other(browser, boss, address, title):
    bar = browser(boss).get(address).context["sidebar_navigation"]
    assert [str(item["title"]) for group in bar for item in group["items"] if item["active"]] == [title]
