"""Signing in to the admin site is guarded like signing in to the API, and what is signed in shows there."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from core.accounts import keys, sessions
from core.accounts.models import ApiKey, Session, User
from core.accounts.origin import Origin
from core.accounts.tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/"


@pytest.fixture
def boss(make_user):
    return make_user("admin", is_staff=True)


@pytest.fixture
def browser(boss):
    client = Client()
    client.force_login(boss)
    return client


def test_staff_sign_in_and_others_do_not(client, boss, rep):
    assert client.post(LOGIN, {"username": rep.username, "password": PASSWORD}).status_code == 200
    signed_in = client.post(LOGIN, {"username": boss.username, "password": PASSWORD})
    assert (signed_in.status_code, signed_in.url) == (302, "/admin/")


def test_guessing_is_limited_and_shares_its_count_with_the_api(client, anonymous, boss):
    for _ in range(3):
        assert client.post(LOGIN, {"username": boss.username, "password": "wrong"}).status_code == 200
    for status in (401, 401, 429):
        body = {"username": boss.username, "password": "wrong"}
        assert anonymous.post("/api/auth/login/", body).status_code == status
    page = client.post(LOGIN, {"username": boss.username, "password": PASSWORD})
    assert "Too many failed attempts" in page.content.decode()


def test_an_administrator_ends_sessions_and_revokes_keys(browser, rep, bearing):
    issued = sessions.begin(rep, Origin("127.0.0.1", ""))
    key, text = keys.make(rep, "Sync", ["read"])
    action = {"action": "end", "_selected_action": issued.session.pk}
    assert browser.post("/admin/core/session/", action).status_code == 302
    action = {"action": "revoke", "_selected_action": key.pk}
    assert browser.post("/admin/core/apikey/", action).status_code == 302
    assert bearing(issued.access).get("/api/auth/me/").status_code == 401
    assert bearing(text).get("/api/auth/me/").status_code == 401
    assert Session.objects.get(user=rep).ended_because == "by_administrator"


def test_a_superusers_sessions_and_keys_are_not_an_administrators_to_end(browser):
    root = User.objects.create_superuser("root", "root@crm.example", PASSWORD)
    session, (key, _) = sessions.begin(root, Origin("127.0.0.1", "")).session, keys.make(root, "x", ["read"])
    browser.post("/admin/core/session/", {"action": "end", "_selected_action": session.pk})
    browser.post("/admin/core/apikey/", {"action": "revoke", "_selected_action": key.pk})
    assert root.sessions.live().count() == 1
    assert ApiKey.objects.get().revoked_at is None


def test_pages_show_no_digest(browser, rep):
    session = sessions.begin(rep, Origin("127.0.0.1", "")).session
    key, _ = keys.make(rep, "Sync", ["read"])
    for url, digest in (
        (f"/admin/core/session/{session.pk}/change/", session.refresh_digest),
        (f"/admin/core/apikey/{key.pk}/change/", key.digest),
    ):
        page = browser.get(url)
        assert page.status_code == 200
        assert digest not in page.content.decode()


def test_users_are_not_deleted(browser, rep):
    assert browser.post(f"/admin/core/user/{rep.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=rep.pk).exists()


def test_a_viewer_of_the_staff_signs_in_and_reads(client, make_user):
    viewer = make_user("viewer", is_staff=True)
    assert client.post(LOGIN, {"username": viewer.username, "password": PASSWORD}).status_code == 302
    assert client.get("/admin/lead_management/lead/").status_code == 200


def test_the_right_password_of_who_may_not_come_in_is_not_called_wrong(client, rep):
    page = client.post(LOGIN, {"username": rep.username, "password": PASSWORD}).content.decode()
    assert "may use the API and not this site" in page
    page = client.post(LOGIN, {"username": rep.username, "password": "wrong"}).content.decode()
    assert "may use the API and not this site" not in page


def test_pages_show_and_take_times_where_their_reader_is(client, make_user):
    from core.admin.tests.forms import filled_in
    from lead_management.models import Lead
    from lead_management.tests.factories import LeadFactory

    user = make_user("admin", is_staff=True, time_zone="Asia/Tokyo")
    at = datetime(2026, 3, 1, 20, 30, tzinfo=UTC)
    lead = LeadFactory(first_name="Ada", next_follow_up_at=at)
    client.force_login(user)
    page = f"/admin/lead_management/lead/{lead.pk}/change/"
    sent = filled_in(client.get(page))
    assert (sent["next_follow_up_at_0"], sent["next_follow_up_at_1"]) == (["2026-03-02"], ["05:30:00"])
    assert client.post(page, sent | {"next_follow_up_at_1": "06:30:00"}).status_code == 302
    assert Lead.objects.get().next_follow_up_at == at + timedelta(hours=1)


def test_the_page_of_signing_in_asks_for_nothing_that_is_not_there(client):
    assert client.get("/favicon.ico", follow=False).status_code == 302
    assert "crm/icon.svg" in client.get(LOGIN).content.decode()
