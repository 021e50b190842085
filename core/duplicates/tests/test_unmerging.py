"""Undoing merges over the API: everything is as it was, and what was changed since stays."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from contacts.models import Contact
from contacts.tests.factories import CompanyFactory, ContactFactory
from core.accounts.tests.factories import UserFactory
from core.activities.models import Comment, Follow
from core.activities.tests.factories import ActivityFactory, CommentFactory, FollowFactory
from core.changes import audit_context
from core.customization.tests.factories import CustomFieldFactory
from core.duplicates.merging import MergeRequest, merge
from core.duplicates.models import Merge, MergeMove
from core.duplicates.tasks import forget_merges
from core.duplicates.unmerging import undo
from core.entities import entities, writing
from core.errors import ConflictError, InvalidError
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
LEAD = entities["lead"]
WRITTEN_BY_TRIGGERS = {"version", "updated_at"}


def state(record):
    """A record's columns as the table has them."""
    found = type(record).objects.get(pk=record.pk)
    return {name: v for name, v in writing.values_of(found).items() if name not in WRITTEN_BY_TRIGGERS}


def merged(client, plural, survivor, *others, **more):
    body = {"survivor": survivor.pk, "merged": [other.pk for other in others], **more}
    answer = client.post(f"/api/v1/{plural}/merge/", body, format="json")
    assert answer.status_code == 200, answer.json()
    return answer.json()["id"]


def undone(client, pk):
    return client.post(f"/api/v1/merges/{pk}/undo/")


def test_both_sides_are_as_they_were_field_by_field(admin):
    survivor = LeadFactory(email="a@x.example", tags=["a"], external_id="A1", call_attempts=2)
    other = LeadFactory(
        last_name="Byron", phone="+442079460000", tags=["b"], external_id="B2", do_not_contact=True,
        estimated_value="5.00", currency="EUR", custom_fields={"size": 1}, call_attempts=1,
        last_contacted_at=timezone.now() - timedelta(days=1),
    )  # fmt: skip
    hanging = [ActivityFactory(record=other), CommentFactory(record=other), FollowFactory(record=other)]
    task, kept = TaskFactory(lead=other), ActivityFactory(record=survivor)
    before = state(survivor), state(other)
    answer = undone(admin, merged(admin, "leads", survivor, other))
    assert answer.status_code == 200, answer.json()
    assert answer.json()["undone_at"]
    assert (state(survivor), state(other)) == before
    for row in hanging:
        row.refresh_from_db()
        assert row.object_id == other.pk
    task.refresh_from_db()
    kept.refresh_from_db()
    assert (task.lead_id, kept.object_id) == (other.pk, survivor.pk)
    assert admin.get(f"/api/v1/leads/{other.pk}/").status_code == 200
    assert admin.get("/api/v1/leads/by_external_id/B2/").json()["id"] == other.pk


def test_what_was_changed_since_stays(admin):
    CustomFieldFactory(entity="lead", key="size", type="number")
    survivor = LeadFactory(first_name="Ada", tags=["a"], custom_fields={})
    custom = {"size": 1, "colour": "red"}
    other = LeadFactory(last_name="Byron", city="Rome", tags=["b"], custom_fields=custom)
    moved = CommentFactory(record=other)
    pk = merged(admin, "leads", survivor, other)
    change = {"city": "Paris", "tags": ["a", "b", "c"], "custom_fields": {"size": 2}}
    assert admin.patch(f"/api/v1/leads/{survivor.pk}/", change, format="json").status_code == 200
    added = CommentFactory(record=survivor)
    elsewhere = LeadFactory()
    Comment.objects.filter(pk=moved.pk).update(object_id=elsewhere.pk)
    assert undone(admin, pk).status_code == 200
    found = Lead.objects.get(pk=survivor.pk)
    assert (found.first_name, found.last_name, found.city) == ("Ada", "", "Paris")
    assert (found.tags, found.custom_fields) == (["a", "c"], {"size": 2})
    assert Comment.objects.get(pk=added.pk).object_id == survivor.pk
    assert Comment.objects.get(pk=moved.pk).object_id == elsewhere.pk
    assert Lead.objects.get(pk=other.pk).city == "Rome"


def test_merges_into_one_are_undone_in_any_order(admin, rep):
    survivor = ContactFactory(email="a@x.example")
    second = ContactFactory(phone="+442079460001", email="b@x.example")
    third = ContactFactory(phone="+442079460002", email="c@x.example", city="Rome")
    for record in (second, third):
        FollowFactory(record=record, user=rep)
    before = [state(record) for record in (survivor, second, third)]
    first_merge, second_merge = (merged(admin, "contacts", survivor, other) for other in (second, third))
    assert undone(admin, first_merge).status_code == 200
    found = Contact.objects.get(pk=survivor.pk)
    assert (found.phone, found.additional_phones, found.city) == ("+442079460002", [], "Rome")
    assert found.additional_emails == ["c@x.example"]
    assert Follow.objects.filter(user=rep, object_id=survivor.pk).count() == 1
    assert undone(admin, second_merge).status_code == 200
    assert [state(record) for record in (survivor, second, third)] == before
    assert set(Follow.objects.values_list("object_id", flat=True)) == {second.pk, third.pk}


def test_a_survivor_that_was_merged_itself_comes_back_first(admin):
    first, second, third = LeadFactory(), LeadFactory(), LeadFactory()
    comment = CommentFactory(record=third)
    inner = merged(admin, "leads", second, third)
    outer = merged(admin, "leads", first, second)
    refused = undone(admin, inner)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/merged")
    assert undone(admin, outer).status_code == 200
    comment.refresh_from_db()
    assert comment.object_id == second.pk
    assert admin.get(f"/api/v1/leads/{third.pk}/").json()["merged_into"] == second.pk
    assert undone(admin, inner).status_code == 200
    comment.refresh_from_db()
    assert comment.object_id == third.pk


def test_a_merge_is_undone_once_and_for_thirty_days(admin):
    pairs = [(LeadFactory(), LeadFactory()) for _ in range(2)]
    first, second = (merged(admin, "leads", *pair) for pair in pairs)
    assert undone(admin, first).status_code == 200
    again = undone(admin, first)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/undone")
    with time_machine.travel(timezone.now() + timedelta(days=31)):
        late = undone(admin, second)
        assert (late.status_code, late.json()["type"]) == (409, "/problems/too-late")
        assert forget_merges() == 2
    assert Merge.objects.filter(sources={}, after={}).count() == 2
    assert not MergeMove.objects.exists()


def test_what_another_record_took_meanwhile_stands_against_it(admin):
    survivor, other = LeadFactory(external_id="A1"), LeadFactory(external_id="B2")
    pk = merged(admin, "leads", survivor, other)
    LeadFactory(external_id="B2")
    refused = undone(admin, pk)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/unique")
    assert Lead.objects.get(pk=other.pk).archived_at is not None


def test_who_undoes_a_merge(admin, api, rep, make_user):
    survivor, other = LeadFactory(owner=rep), LeadFactory(owner=make_user("rep"))
    pk = merged(admin, "leads", survivor, other)
    seen = api(rep).get(f"/api/v1/merges/{pk}/")
    assert seen.status_code == 200
    assert (seen.json()["survivor"], seen.json()["merged"]) == (survivor.pk, [other.pk])
    assert undone(api(rep), pk).status_code == 403
    stranger = api(make_user("rep"))
    assert stranger.get(f"/api/v1/merges/{pk}/").status_code == 404
    assert undone(stranger, pk).status_code == 404
    assert stranger.get("/api/v1/merges/").json()["count"] == 0
    assert Lead.objects.get(pk=other.pk).archived_at is not None
    assert admin.delete(f"/api/v1/leads/{survivor.pk}/?hard=true").status_code == 204
    gone = undone(admin, pk)
    assert (gone.status_code, gone.json()["type"]) == (409, "/problems/deleted")


def test_companies_stand_where_they_stood(admin):
    top = CompanyFactory()
    other = CompanyFactory(parent=top, annual_revenue="5.00")
    between = CompanyFactory(parent=other)
    survivor = CompanyFactory(parent=between)
    deal = OpportunityFactory(company=other)
    before = [state(record) for record in (top, other, between, survivor, deal)]
    assert undone(admin, merged(admin, "companies", survivor, other)).status_code == 200
    assert [state(record) for record in (top, other, between, survivor, deal)] == before


NAMES = ("first_name", "city", "phone")
VALUE = st.sampled_from(["", "x", "y", "z"])
RECORD = st.tuples(VALUE, VALUE, VALUE, st.lists(st.sampled_from("abc"), unique=True, max_size=2))
STEP = st.one_of(
    st.tuples(st.just("merge"), st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("undo"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("comment"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("change"), st.integers(0, 3), st.sampled_from(NAMES)),
)


class MergesInAnyOrder(TestCase):
    """Whatever was merged, changed and undone: at the end, with everything undone, each record has what it
    had or what was written into it since, and each comment hangs on the record it was made on."""

    @given(st.lists(RECORD, min_size=4, max_size=4), st.lists(STEP, max_size=7))
    @settings(max_examples=10, deadline=None)
    def test_nothing_is_lost(self, records, steps):
        user = UserFactory(role="admin")
        leads = [
            LeadFactory(last_name=f"L{n}", tags=tags, **dict(zip(NAMES, values, strict=True)))
            for n, (*values, tags) in enumerate(records)
        ]
        expected = [state(lead) for lead in leads]
        comments = {CommentFactory(record=lead).pk: lead.pk for lead in leads}
        merges = []
        for number, (verb, n, more) in enumerate(steps):
            lead = leads[n]
            try:
                with audit_context(user, source="api"):
                    if verb == "merge":
                        made = merge(LEAD, MergeRequest(lead.pk, [leads[more].pk]), user)
                        merges.append(made.pk)
                    elif verb == "undo" and merges:
                        undo(LEAD, merges[n % len(merges)], user)
                    elif verb == "comment" and state(lead)["archived_at"] is None:
                        comments[CommentFactory(record=lead).pk] = lead.pk
                    elif verb == "change" and state(lead)["archived_at"] is None:
                        Lead.objects.filter(pk=lead.pk).update(**{more: f"written {number}"})
                        expected[n][more] = f"written {number}"
            except (ConflictError, InvalidError):
                pass  # with itself, or with what is merged already
        for pk in reversed(merges):
            if Merge.objects.get(pk=pk).undone_at is None:
                with audit_context(user, source="api"):
                    undo(LEAD, pk, user)
        assert [state(lead) for lead in leads] == expected
        assert dict(Comment.objects.values_list("pk", "object_id")) == comments
