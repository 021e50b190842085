"""The reports' page of the admin site, and goals there."""

from datetime import date

import pytest
from django.test import Client

from core.accounts.tests.factories import TeamFactory, UserFactory
from core.reports.models import Goal

pytestmark = pytest.mark.django_db
PAGE = "/admin/core/goal/reports/"
QUARTER = {"start": "2030-01-01", "end": "2030-03-31"}


def browser(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def team(db):
    return TeamFactory()


@pytest.fixture
def manager(team):
    return UserFactory(role="manager", team=team, is_staff=True)


def test_reports_are_drawn_of_what_one_may_see(make_deal, manager, team):
    rep = UserFactory(team=team)
    for owner in (rep, UserFactory()):
        make_deal(owner=owner, amount=100, currency="EUR", created_at="2030-01-10T12:00:00Z")
    page = browser(manager).get(PAGE, QUARTER)
    assert page.status_code == 200
    assert page.context["trend"]["totals"]["created"] == 1
    assert [drawing.name for drawing in page.context["waterfall_drawings"]] == ["Pipeline in EUR"]
    bars = page.context["waterfall_drawings"][0].bars
    assert [(bar.title, bar.height) for bar in bars] == [
        ("start: 0.00 EUR", 1),
        ("new: 100.00 EUR", 220.0),
        ("end: 100.00 EUR", 220.0),
    ]
    text = page.content.decode()
    assert text.count("<svg") == 3
    assert 'aria-label="Created, won and lost by period"' in text
    assert "/admin/core/goal/reports/" in browser(manager).get("/admin/").content.decode()


def test_leads_have_no_waterfall_and_what_is_wrong_is_said(manager):
    page = browser(manager).get(PAGE, {"entity": "lead"})
    assert (page.status_code, "waterfall" in page.context) == (200, False)
    wrong = browser(manager).get(PAGE, {"start": "tomorrow"})
    assert wrong.status_code == 200
    assert 'role="alert"' in wrong.content.decode()


def test_a_manager_sets_goals_for_their_team_alone(manager, team):
    rep, stranger = UserFactory(team=team), UserFactory()
    form = {"period": "month", "start": "2030-02-01", "metric": "amount", "target": "10", "currency": "EUR"}
    made = browser(manager).post("/admin/core/goal/add/", {**form, "user": rep.pk})
    assert (made.status_code, Goal.objects.get().start) == (302, date(2030, 2, 1))
    refused = browser(manager).post("/admin/core/goal/add/", {**form, "user": stranger.pk})
    assert (refused.status_code, Goal.objects.count()) == (200, 1)
    assert browser(UserFactory(is_staff=True)).get("/admin/core/goal/add/").status_code == 403
