"""Cookies of the admin site are sessions like all others."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from core.accounts.models import Session, User
from core.accounts.tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN, SITE = "/admin/login/", "/admin/core/user/"


@pytest.fixture
def boss(make_user):
    return make_user("admin", is_staff=True)


@pytest.fixture
def browser(boss):
    client = Client(headers={"user-agent": "Firefox"})
    assert client.post(LOGIN, {"username": boss.username, "password": PASSWORD}).status_code == 302
    return client


def is_in(browser):
    return browser.get(SITE).status_code == 200


def test_a_sign_in_is_listed_with_where_it_came_from(browser, boss, log_in, bearing):
    row = Session.objects.get()
    assert (row.user, row.kind, row.ip, row.user_agent) == (boss, "admin", "127.0.0.1", "Firefox")
    listed = bearing(log_in(boss)["access"]).get("/api/auth/sessions/").json()["results"]
    assert sorted((s["kind"], s["current"]) for s in listed) == [("admin", False), ("api", True)]


def test_signing_out_everywhere_else_ends_it(browser, boss, log_in, bearing):
    assert is_in(browser)
    assert bearing(log_in(boss)["access"]).delete("/api/auth/sessions/").json() == {"ended": 1}
    assert not is_in(browser)
    assert not is_in(browser)


def test_it_is_ended_by_its_own_row(browser, boss, log_in, bearing):
    row = Session.objects.get(kind="admin")
    assert bearing(log_in(boss)["access"]).delete(f"/api/auth/sessions/{row.pk}/").status_code == 204
    assert not is_in(browser)


def test_an_administrator_ends_it(browser, boss, admin):
    assert admin.post(f"/api/v1/users/{boss.pk}/end_sessions/").json() == {"ended": 1}
    assert not is_in(browser)


def test_another_password_ends_it(browser, boss):
    boss.set_password("quite another one")
    boss.save()
    assert Session.objects.get().ended_because == "password_changed"
    assert not is_in(browser)


def test_deactivation_ends_it_for_good(browser, boss):
    User.objects.filter(pk=boss.pk).update(is_active=False)
    assert not is_in(browser)
    User.objects.filter(pk=boss.pk).update(is_active=True)
    assert not is_in(browser)


def test_ones_own_new_password_leaves_this_one_and_ends_the_others(browser, boss):
    other = Client()
    other.post(LOGIN, {"username": boss.username, "password": PASSWORD})
    form = {"old_password": PASSWORD} | dict.fromkeys(("new_password1", "new_password2"), "a new one, long")
    assert browser.post("/admin/password_change/", form).status_code == 302
    assert is_in(browser)
    assert not is_in(other)
    assert Session.objects.live().count() == 1


def test_signing_out_ends_the_row(browser):
    assert browser.post("/admin/logout/").status_code == 200
    assert Session.objects.get().ended_because == "logged_out"
    assert not is_in(browser)


def test_who_was_signed_out_signs_in_again_with_the_same_browser(browser, boss):
    Session.objects.all().end("ended")
    assert browser.post(LOGIN, {"username": boss.username, "password": PASSWORD}).status_code == 302
    assert is_in(browser)
    assert Session.objects.live().count() == 1


def test_it_runs_out(browser):
    Session.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert not is_in(browser)


def test_a_cookie_from_before_gets_its_row(boss):
    client = Client()
    client.force_login(boss)
    assert is_in(client)
    assert Session.objects.get().kind == "admin"
    Session.objects.all().end("ended")
    assert not is_in(client)


def test_it_signs_nobody_in_to_the_api(browser):
    assert browser.get("/api/auth/me/").status_code == 401
