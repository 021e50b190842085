"""Merging over the API: values, what hangs on the records, ids, rights, conflicts."""

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from contacts.models import Company, Contact
from contacts.tests.factories import CompanyFactory, ContactFactory
from core.activities.models import Activity, Comment, Follow
from core.activities.tests.factories import ActivityFactory, CommentFactory, FollowFactory
from core.changes import audit_context
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory
from core.duplicates.models import Merge
from core.duplicates.relations import relations
from core.entities import entities
from core.entities.bulk import Bulk
from core.entities.relation_transfer import not_moved
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory
from tasks.models import Task

pytestmark = pytest.mark.django_db
MERGEABLE = ("lead", "contact", "company")


def merged(client, plural, survivor, *others, **more):
    body = {"survivor": survivor.pk, "merged": [other.pk for other in others], **more}
    return client.post(f"/api/v1/{plural}/merge/", body, format="json")


def shown(client, plural, pk):
    return client.get(f"/api/v1/{plural}/{pk}/").json()


def test_the_survivor_keeps_its_values_and_gets_what_it_lacks(admin):
    survivor = ContactFactory(
        first_name="Ada", email="ada@x.example", tags=["a", "b"], city="London", custom_fields={"size": 0}
    )
    other = ContactFactory(
        first_name="A.", last_name="Byron", email="byron@x.example", phone="+442079460000",
        additional_emails=["ada@x.example", "third@x.example"], tags=["b", "c"], do_not_contact=True,
        address="1 Engine St", city="Leeds", custom_fields={"size": 5, "colour": "red"},
    )  # fmt: skip
    answer = merged(admin, "contacts", survivor, other)
    assert answer.status_code == 200, answer.json()
    found = shown(admin, "contacts", survivor.pk)
    assert (found["first_name"], found["last_name"], found["phone"]) == ("Ada", "Byron", "+442079460000")
    assert (found["email"], found["additional_emails"]) == (
        "ada@x.example",
        ["third@x.example", "byron@x.example"],
    )
    assert found["tags"] == ["a", "b", "c"]
    assert found["do_not_contact"] is True
    assert found["custom_fields"] == {"size": 0, "colour": "red"}
    assert (found["address"], found["city"]) == ("", "London"), "an address is of one record"


def test_a_chosen_field_is_that_records_and_its_company_goes_with_it(admin):
    CustomFieldFactory(entity="lead", key="size", type="number")
    survivor = LeadFactory(first_name="Ada", phone="+442079460000", custom_fields={"size": 1})
    other = LeadFactory(first_name="Grace", phone="+442079460001", custom_fields={"size": 2})
    fields = {"phone": other.pk, "custom_fields.size": other.pk, "first_name": survivor.pk}
    assert merged(admin, "leads", survivor, other, fields=fields).status_code == 200
    found = Lead.objects.get(pk=survivor.pk)
    assert (found.first_name, found.phone, found.custom_fields) == ("Ada", "+442079460001", {"size": 2})


def test_an_amount_comes_with_its_currency_and_nought_is_a_value(admin):
    survivor, other = LeadFactory(estimated_value=None), LeadFactory(estimated_value="5.00", currency="EUR")
    third = LeadFactory(estimated_value="7.00")
    merged(admin, "leads", survivor, other, third)
    found = Lead.objects.get(pk=survivor.pk)
    assert (str(found.estimated_value), found.currency) == ("5.00", "EUR")
    nought, more = LeadFactory(estimated_value="0.00"), LeadFactory(estimated_value="9.00")
    merged(admin, "leads", nought, more)
    assert str(Lead.objects.get(pk=nought.pk).estimated_value) == "0.00"


def test_a_converted_lead_makes_the_survivor_a_converted_one(admin):
    contact = ContactFactory()
    survivor, other = LeadFactory(email="a@x.example"), LeadFactory(last_name="Byron")
    converted = admin.post(f"/api/v1/leads/{other.pk}/convert/", {"contact": contact.pk}, format="json")
    assert converted.status_code == 200, converted.json()
    assert merged(admin, "leads", survivor, other).status_code == 200
    found = Lead.objects.get(pk=survivor.pk)
    assert (found.status, found.converted_contact_id) == ("converted", contact.pk)
    assert found.converted_opportunity_id == converted.json()["opportunity_id"]
    again = admin.post(f"/api/v1/leads/{survivor.pk}/convert/", {}, format="json")
    assert again.status_code == 409


@pytest.mark.parametrize("name", MERGEABLE)
def test_every_relation_of_the_models_moves_or_says_why_it_stays(name):
    """A table that is added later is found here: it moves by itself, or names itself in `not_moved`."""
    model, known = entities[name].model, {relation.name for relation in relations(entities[name])}
    missing = []
    for table in apps.get_models(include_auto_created=True):
        label, fields = table._meta.label_lower, table._meta.concrete_fields
        referring = [f.column for f in fields if f.is_relation and f.related_model is model]
        if {"entity", "object_id"} <= {f.name for f in fields} and label not in not_moved:
            referring.append("object_id")
        missing += [f"{label}.{c}" for c in referring if f"{label}.{c}" not in known]
    assert missing == []
    assert set(not_moved.keys()) <= {m._meta.label_lower for m in apps.get_models()}


@pytest.mark.parametrize("plural", ["leads", "contacts", "companies"])
def test_a_thousand_rows_move_by_few_statements(admin, plural):
    entity = next(e for e in entities if e.plural == plural)
    factory = {"leads": LeadFactory, "contacts": ContactFactory, "companies": CompanyFactory}[plural]
    survivor, other = factory(), factory()
    of = {"entity": entity.name, "object_id": other.pk}
    Activity.objects.bulk_create(Activity(type="call", subject="x", **of) for _ in range(500))
    Comment.objects.bulk_create(Comment(body="x", **of) for _ in range(300))
    Task.objects.bulk_create(Task(title="x", **{f"{entity.name}_id": other.pk}) for _ in range(200))
    with CaptureQueriesContext(connection) as queries:
        answer = merged(admin, plural, survivor, other)
    assert answer.status_code == 200, answer.json()
    assert len(queries) <= 20, "\n".join(q["sql"][:120] for q in queries)
    assert Activity.objects.filter(object_id=survivor.pk, entity=entity.name).count() == 500
    assert Comment.objects.filter(object_id=survivor.pk, entity=entity.name).count() == 300
    assert Task.objects.filter(**{f"{entity.name}_id": survivor.pk}).count() == 200
    assert answer.json()["moved"] == {
        "core.activity.object_id": 500,
        "core.comment.object_id": 300,
        f"tasks.task.{entity.name}_id": 200,
    }


def test_what_hangs_on_a_company_moves_and_says_so(admin):
    survivor, other = CompanyFactory(), CompanyFactory()
    contact, deal = ContactFactory(company=other), OpportunityFactory(company=other)
    lead, child = LeadFactory(converted_company=other), CompanyFactory(parent=other)
    assert merged(admin, "companies", survivor, other).status_code == 200
    for record, column in ((contact, "company_id"), (deal, "company_id"), (child, "parent_id")):
        record.refresh_from_db()
        assert getattr(record, column) == survivor.pk
        [change] = Change.objects.filter(entity=record.entity_name, object_id=record.pk, kind="updated")
        assert change.changes[column] == [other.pk, survivor.pk]
    lead.refresh_from_db()
    assert lead.converted_company_id == survivor.pk


def test_a_company_is_never_put_below_itself(admin):
    top = CompanyFactory()
    other = CompanyFactory(parent=top)
    between = CompanyFactory(parent=other)
    survivor = CompanyFactory(parent=between)
    assert merged(admin, "companies", survivor, other).status_code == 200
    parents = dict(Company.objects.filter(archived_at=None).values_list("pk", "parent_id"))
    assert parents == {top.pk: None, between.pk: survivor.pk, survivor.pk: top.pk}


def test_who_follows_both_follows_once_and_counts_are_added(admin, rep):
    survivor, other = LeadFactory(call_attempts=2), LeadFactory(call_attempts=1)
    for record in (survivor, other):
        FollowFactory(record=record, user=rep)
    ActivityFactory(record=other)
    merged(admin, "leads", survivor, other)
    assert Follow.objects.filter(user=rep, object_id=survivor.pk).count() == 1
    assert Lead.objects.get(pk=survivor.pk).call_attempts == 4


def test_old_ids_lead_to_the_survivor(admin, api, rep):
    survivor, other = LeadFactory(owner=rep), LeadFactory(owner=rep)
    third = LeadFactory(owner=rep)
    merged(admin, "leads", other, third)
    merged(admin, "leads", survivor, other)
    for old in (other, third):
        answer = api(rep).get(f"/api/v1/leads/{old.pk}/")
        assert (answer.status_code, answer.json()["merged_into"]) == (301, survivor.pk)
        assert answer["Location"].endswith(f"/api/v1/leads/{survivor.pk}/")
    Lead.objects.filter(pk=survivor.pk).update(owner=None)
    hidden = api(rep).get(f"/api/v1/leads/{other.pk}/")
    assert hidden.status_code == 404
    assert str(survivor.pk) not in hidden.json()["detail"]


def test_external_ids_still_find_the_survivor(admin):
    survivor, other = LeadFactory(external_id="A1"), LeadFactory(external_id="B2", last_name="Byron")
    merged(admin, "leads", survivor, other)
    assert admin.get("/api/v1/leads/by_external_id/B2/").json()["id"] == survivor.pk
    put = admin.patch("/api/v1/leads/by_external_id/B2/", {"city": "London"}, format="json")
    assert (put.status_code, put.json()["id"], put.json()["external_id"]) == (200, survivor.pk, "A1")
    items = {"items": [{"external_id": "B2", "city": "Leeds"}]}
    [bulk] = admin.post("/api/v1/leads/bulk_upsert/", items, format="json").json()["results"]
    assert (bulk["status"], bulk["id"]) == ("updated", survivor.pk)
    file = SimpleUploadedFile("leads.csv", b"External Id,City\nB2,York\n", "text/csv")
    body = {"file": file, "duplicates": "update"}
    job = admin.post("/api/v1/import/leads/", body, format="multipart").json()
    assert (job["updated"], job["created"]) == (1, 0), job
    found = Lead.objects.get(archived_at=None)
    assert (found.pk, found.city, found.external_id) == (survivor.pk, "York", "A1")


def test_the_survivors_own_id_resolves_where_the_others_was_chosen(admin):
    survivor, other = LeadFactory(external_id="A1"), LeadFactory(external_id="B2")
    merged(admin, "leads", survivor, other, fields={"external_id": other.pk})
    assert Lead.objects.get(pk=survivor.pk).external_id == "B2"
    for key in ("A1", "B2"):
        assert admin.get(f"/api/v1/leads/by_external_id/{key}/").json()["id"] == survivor.pk


def test_the_history_of_all_is_read_from_the_survivor(admin):
    survivor, other = LeadFactory(first_name="Ada"), LeadFactory(city="Rome")
    admin.patch(f"/api/v1/leads/{other.pk}/", {"city": "Paris"}, format="json")
    CommentFactory(record=other, body="Met in Paris")
    merged(admin, "leads", survivor, other)
    history = admin.get(f"/api/v1/leads/{survivor.pk}/history/").json()["results"]
    assert {"old": "Rome", "new": "Paris"} in [row["changes"].get("city") for row in history]
    assert [(r["object_id"], r["kind"]) for r in history[:2]] == [
        (survivor.pk, "updated"),
        (other.pk, "archived"),
    ]
    assert len({row["request_id"] for row in history[:2]}) == 1
    timeline = admin.get(f"/api/v1/leads/{survivor.pk}/timeline/").json()["results"]
    assert "Met in Paris" in [entry["data"].get("body") for entry in timeline]
    assert (other.pk, "created") in [(r["object_id"], r["kind"]) for r in history]


def test_who_may_not_change_all_of_them_merges_none(api, rep, make_user):
    mine, hers = LeadFactory(owner=rep), LeadFactory(owner=make_user("rep"))
    hidden = merged(api(rep), "leads", mine, hers)
    assert (hidden.status_code, hidden.json()["errors"][0]["field"]) == (400, "merged[0]")
    viewer = make_user("viewer", team=rep.team)
    assert merged(api(viewer), "leads", mine, hers).status_code == 403
    assert not Merge.objects.exists()
    assert Lead.objects.filter(archived_at=None).count() == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "survivor"),
        ({"merged": []}, "merged"),
        ({"survivor": 0}, "survivor"),
        ({"survivor": 10**30}, "survivor"),
        ({"survivor": 999_999_999}, "survivor"),
        ({"merged": [999_999_999]}, "merged[0]"),
        ({"same": True}, "merged"),
        ({"fields": {"nonsense": 1}}, "fields.nonsense"),
        ({"fields": {"do_not_contact": 1}}, "fields.do_not_contact"),
        ({"fields": {"custom_fields.none": 1}}, "fields.custom_fields.none"),
        ({"fields": {"phone": 999_999_999}}, "fields.phone"),
        ({"fields": {"phone": "x"}}, "fields.phone"),
        ({"fields": [1]}, "fields"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_asked_wrongly_is_named_and_nothing_happens(admin, body, field):
    first, second = LeadFactory(), LeadFactory()
    whole = {"survivor": first.pk, "merged": [second.pk]} | body
    if "same" in body:
        whole = {"survivor": first.pk, "merged": [first.pk]}
    if not body:
        del whole["survivor"]
    answer = admin.post("/api/v1/leads/merge/", whole, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field), answer.json()
    assert Lead.objects.filter(archived_at=None).count() == 2


def test_what_was_merged_is_not_merged_or_restored_again(admin, admin_user):
    first, second, third = LeadFactory(), LeadFactory(), LeadFactory()
    merged(admin, "leads", first, second)
    again = merged(admin, "leads", third, second)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/merged")
    assert str(first.pk) in again.json()["errors"][0]["message"]
    restored = admin.post(f"/api/v1/leads/{second.pk}/restore/")
    assert (restored.status_code, restored.json()["type"]) == (409, "/problems/merged")
    with audit_context(admin_user):
        bulk = Bulk(entities["lead"], admin_user, [second.pk]).restore()
    assert (bulk.done, bulk.failed[second.pk][0]) == (set(), "merged")
    assert Lead.objects.filter(archived_at=None).count() == 2


def test_if_match_and_idempotency_key_hold_for_merges(admin):
    first, second = LeadFactory(), LeadFactory()
    tag = admin.get(f"/api/v1/leads/{first.pk}/")["ETag"]
    admin.patch(f"/api/v1/leads/{first.pk}/", {"city": "Rome"}, format="json")
    body = {"survivor": first.pk, "merged": [second.pk]}
    stale = admin.post("/api/v1/leads/merge/", body, format="json", headers={"If-Match": tag})
    assert stale.status_code == 412
    key = {"Idempotency-Key": "merge-once"}
    once, twice = (admin.post("/api/v1/leads/merge/", body, format="json", headers=key) for _ in range(2))
    assert (once.status_code, once.json()) == (200, twice.json())
    assert Merge.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_concurrent_merges_of_overlapping_groups_one_wins(api, admin_user, at_once):
    first, second, third = LeadFactory(), LeadFactory(), LeadFactory()
    groups = ((first, second), (third, second))
    answers = at_once(*(lambda g=group: merged(api(admin_user), "leads", *g) for group in groups))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert Lead.objects.filter(archived_at=None).count() == 2
    assert Merge.objects.count() == 1


def test_a_list_that_grows_too_long_is_refused_and_named(admin):
    def addresses(word):
        return [f"{word}{n}@x.example" for n in range(15)]

    one = ContactFactory(additional_emails=addresses("a"))
    other = ContactFactory(additional_emails=addresses("b"))
    refused = merged(admin, "contacts", one, other)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "fields.additional_emails")
    fields = {"additional_emails": other.pk}
    assert merged(admin, "contacts", one, other, fields=fields).status_code == 200
    found = Contact.objects.get(pk=one.pk)
    assert [found.email, *found.additional_emails] == addresses("b")
