"""Every operation runs at the same time as itself: one winner, the others are told."""

import threading
from collections import Counter

import pytest
from django.db import connection
from rest_framework.test import APIClient

from contacts.models import Contact
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db(transaction=True)
LEADS = "/api/v1/leads/"


@pytest.fixture
def at_once(make_user):
    """at_once(count, ask) → the answers to ask(client, i), asked by `count` threads at the same moment."""
    user = make_user("admin")

    def run(count, ask):
        start, answers = threading.Barrier(count), []

        def one(i):
            client = APIClient()
            client.force_authenticate(user)
            start.wait(30)
            try:
                answers.append(ask(client, i))
            finally:
                connection.close()

        threads = [threading.Thread(target=one, args=[i]) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == count
        return answers

    return run


def statuses(answers):
    return Counter(answer.status_code for answer in answers)


def test_of_two_changes_to_one_version_one_wins(at_once):
    lead = LeadFactory(first_name="Ada")
    etag = f'"{lead.pk}-1"'
    answers = at_once(
        2, lambda c, i: c.patch(f"{LEADS}{lead.pk}/", {"city": f"City {i}"}, headers={"If-Match": etag})
    )
    assert statuses(answers) == {200: 1, 412: 1}
    winner, loser = sorted(answers, key=lambda a: a.status_code)
    lead.refresh_from_db()
    assert (lead.version, lead.city) == (2, winner.json()["city"])
    assert loser["ETag"] == f'"{lead.pk}-2"'


def test_twenty_posts_under_one_key_make_one_record(at_once):
    answers = at_once(
        20, lambda c, i: c.post(LEADS, {"first_name": "Ada"}, headers={"Idempotency-Key": "once"})
    )
    assert statuses(answers) == {201: 20}
    assert {a.json()["id"] for a in answers} == {Lead.objects.get().pk}
    assert Counter("Idempotency-Replayed" in a for a in answers) == {True: 19, False: 1}
    assert Change.objects.filter(entity="lead").count() == 1


def test_a_key_that_came_with_another_body_is_refused(at_once):
    def post(client, i):
        return client.post(LEADS, {"first_name": f"Ada {i}"}, headers={"Idempotency-Key": "once"})

    first, second = sorted(at_once(2, post), key=lambda answer: answer.status_code)
    assert (first.status_code, second.status_code) == (201, 422)
    assert second.json()["type"] == "/problems/idempotency-key-reused"
    assert [lead.first_name for lead in Lead.objects.all()] == [first.json()["first_name"]]


def test_a_lead_is_converted_once(at_once):
    lead = LeadFactory(first_name="Ada", email="ada@engines.example")
    body = {"create_opportunity": False}
    answers = at_once(2, lambda c, i: c.post(f"{LEADS}{lead.pk}/convert/", body))
    assert statuses(answers) == {200: 1, 409: 1}
    assert Contact.objects.count() == 1


def test_a_unique_custom_value_is_taken_once(at_once):
    CustomFieldFactory(entity="lead", key="code", type="text", unique=True)
    body = {"first_name": "Ada", "custom_fields": {"code": "A"}}
    assert statuses(at_once(6, lambda c, i: c.post(LEADS, body))) == {201: 1, 400: 5}
    assert Lead.objects.count() == 1


def test_bulk_changes_in_opposite_orders_never_deadlock(at_once):
    ids = [lead.pk for lead in Lead.objects.bulk_create([Lead(first_name=str(i)) for i in range(40)])]

    def ask(client, i):
        order = ids if i % 2 else ids[::-1]
        body = {"ids": order, "action": "update", "data": {"city": f"City {i}"}}
        return client.post(f"{LEADS}bulk_update/", body)

    assert statuses(at_once(6, ask)) == {200: 6}
    assert Lead.objects.values("city").distinct().count() == 1


def test_a_request_that_loses_a_deadlock_is_tried_again(at_once, monkeypatch):
    """Two requests that lock two leads crosswise: PostgreSQL ends one, which then succeeds on its own."""
    from core.entities import writing

    one, two = (LeadFactory(first_name=name) for name in "ab")
    both, plain, tries = threading.Barrier(2), writing.save_clean, []

    def crosswise(entity, record, *args, **kwargs):
        tries.append(record.pk)
        if len(tries) <= 2:
            both.wait(30)
        other = two if record.pk == one.pk else one
        Lead.objects.select_for_update().get(pk=other.pk)
        return plain(entity, record, *args, **kwargs)

    monkeypatch.setattr(writing, "save_clean", crosswise)
    answers = at_once(2, lambda c, i: c.patch(f"{LEADS}{(one, two)[i].pk}/", {"city": "Turin"}))
    assert statuses(answers) == {200: 2}
    assert len(tries) == 3
    assert list(Lead.objects.values_list("city", flat=True)) == ["Turin", "Turin"]
