"""What happens at once: real threads, each with its own connection."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.test import Client
from rest_framework.test import APIClient

from core.accounts import sessions
from core.accounts.models import Session, Team, User
from core.accounts.origin import Origin
from core.accounts.tests.factories import TeamFactory

HERE = Origin("127.0.0.1", "")
THREADS = 8


def at_once(count, work):
    """work(i) in `count` threads that start together; their results."""
    barrier = threading.Barrier(count)

    def run(i):
        barrier.wait(10)
        try:
            return work(i)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
def test_of_many_uses_of_one_refresh_token_at_once_one_succeeds(make_user):
    user = make_user()
    for _ in range(10):
        token = sessions.begin(user, HERE).refresh

        def refresh(_, token=token):
            return APIClient().post("/api/auth/refresh/", {"refresh": token}).status_code

        statuses = at_once(THREADS, refresh)
        assert sorted(statuses) == [200] + [401] * (THREADS - 1)
    assert set(Session.objects.values_list("generation", flat=True)) == {2}


@pytest.mark.django_db(transaction=True)
def test_a_use_that_waited_for_the_winner_is_refused_and_ends_nothing(make_user):
    """Two tabs of one browser that refresh together are no theft."""
    issued = sessions.begin(make_user(), HERE)
    asked = threading.Event()

    def loser():
        asked.set()
        try:
            return APIClient().post("/api/auth/refresh/", {"refresh": issued.refresh})
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        winner = sessions.renew(issued.refresh)
        waiting = pool.submit(loser)
        asked.wait(10)
        _await_a_lock()
    assert waiting.result(10).status_code == 401
    assert Session.objects.get().ended_at is None
    assert sessions.renew(winner.refresh).session.generation == 3


def _await_a_lock():
    """Until some transaction waits for ours."""
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        threading.Event().wait(0.02)
    pytest.fail("nobody waits for the session's row")


@pytest.mark.django_db(transaction=True)
def test_administrators_who_demote_each_other_leave_one(make_user, api):
    first, second = make_user("admin"), make_user("admin")
    pairs = [(first, second), (second, first)]

    def demote(i):
        actor, target = pairs[i]
        return api(actor).patch(f"/api/v1/users/{target.pk}/", {"role": "rep"}).status_code

    statuses = at_once(2, demote)
    assert sorted(statuses) == [200, 400]
    assert User.objects.administrators().count() == 1


@pytest.mark.django_db(transaction=True)
def test_teams_put_below_each_other_at_once_make_no_circle(make_user, api):
    admin = make_user("admin")
    teams = [TeamFactory(name=name) for name in "AB"]

    def move(i):
        body = {"parent": teams[1 - i].pk}
        return api(admin).patch(f"/api/v1/teams/{teams[i].pk}/", body).status_code

    assert sorted(at_once(2, move)) == [200, 400]
    assert Team.objects.filter(parent=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_nor_do_teams_put_below_each_other_in_the_admin_site(make_user):
    boss = make_user("admin", is_staff=True)
    teams = [TeamFactory(name=name) for name in "AB"]

    def move(i):
        browser = Client()
        browser.force_login(boss)
        body = {"name": teams[i].name, "parent": teams[1 - i].pk}
        return browser.post(f"/admin/core/team/{teams[i].pk}/change/", body).status_code

    assert sorted(at_once(2, move)) == [200, 302]  # the form again, with what was wrong; back to the list
    assert Team.objects.filter(parent=None).count() == 1
