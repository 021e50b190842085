"""The contacts of a deal: one primary, others with roles, right whichever door they come and go through."""

import csv
import io
import re

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from contacts.models import Contact
from contacts.tests.factories import ContactFactory
from core.accounts import keys
from core.admin.tests.forms import filled_in
from core.changes.models import Change
from core.entities import entities
from core.entities.dependents import dependents
from core.transfer.tests.uploads import upload
from opportunities.models import Opportunity, OpportunityContact
from opportunities.tests.factories import OpportunityContactFactory, OpportunityFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/opportunities/"


@pytest.fixture
def ada(rep):
    return ContactFactory(first_name="Ada", last_name="Lovelace", owner=rep)


@pytest.fixture
def bob(rep):
    return ContactFactory(first_name="Bob", last_name="Bell", owner=rep)


@pytest.fixture
def deal(make_deal, ada):
    """A deal whose primary contact is Ada."""
    return make_deal(contact=ada)


@pytest.fixture
def client(api, rep):
    return api(rep)


def at(deal, contact=None):
    return f"{URL}{deal.pk}/contacts/" + (f"{contact.pk}/" if contact else "")


def listed(client, deal):
    """(contact, role, whether primary) of each that is listed, and how many are hidden."""
    answer = client.get(at(deal))
    assert answer.status_code == 200, answer.json()
    rows = [(row["contact"], row["role"], row["is_primary"]) for row in answer.json()["results"]]
    return rows, answer.json()["hidden"]


def stored(deal):
    """The deal's primary contact, and (contact, role) of what is stored beside it."""
    deal.refresh_from_db()
    return deal.contact_id, list(deal.deal_contacts.values_list("contact", "role"))


def test_the_contact_of_a_deal_is_its_primary_one_and_others_come_with_roles(client, deal, ada, bob):
    assert listed(client, deal) == ([(ada.pk, "", True)], 0)
    answer = client.post(at(deal), {"contact": bob.pk, "role": "champion"})
    assert (answer.status_code, answer.json()) == (
        201,
        {"contact": bob.pk, "name": "Bob Bell", "role": "champion", "role_text": "", "is_primary": False},
    )
    assert listed(client, deal) == ([(ada.pk, "", True), (bob.pk, "champion", False)], 0)
    assert client.get(f"{URL}{deal.pk}/").json()["contact"] == ada.pk
    changed = client.patch(at(deal, ada), {"role": "other", "role_text": "Counsel"}).json()
    assert (changed["role"], changed["role_text"], changed["is_primary"]) == ("other", "Counsel", True)
    again = client.patch(at(deal, ada), {**changed, "role": "blocker", "role_text": ""})
    assert (again.status_code, again.json()["role_text"]) == (200, "")
    assert client.patch(at(deal, bob), {"role": "other", "role_text": "Advisor"}).status_code == 200
    assert client.patch(at(deal, bob), {"role": "evaluator"}).json()["role_text"] == ""


def test_the_first_contact_of_a_deal_is_the_primary_one(client, make_deal, ada, bob):
    deal = make_deal()
    assert client.post(at(deal), {"contact": ada.pk}).json()["is_primary"] is True
    assert client.post(at(deal), {"contact": bob.pk}).json()["is_primary"] is False
    assert client.get(f"{URL}{deal.pk}/").json()["contact"] == ada.pk


def test_another_contact_becomes_the_primary_one_and_the_one_before_stays(client, deal, ada, bob):
    assert client.post(at(deal), {"contact": bob.pk, "is_primary": True}).json()["is_primary"] is True
    assert listed(client, deal) == ([(bob.pk, "", True), (ada.pk, "", False)], 0)
    assert client.patch(at(deal, ada), {"is_primary": True}).json()["is_primary"] is True
    assert listed(client, deal) == ([(ada.pk, "", True), (bob.pk, "", False)], 0)
    assert client.get(f"{URL}{deal.pk}/").json()["contact"] == ada.pk


def test_after_the_primary_contact_the_next_who_was_added_is_it(client, deal, ada, bob):
    cleo = ContactFactory(owner=deal.owner)
    OpportunityContactFactory(opportunity=deal, contact=bob, role="champion")
    OpportunityContactFactory(opportunity=deal, contact=cleo)
    assert client.delete(at(deal, ada)).status_code == 204
    assert listed(client, deal) == ([(bob.pk, "champion", True), (cleo.pk, "", False)], 0)
    assert client.delete(at(deal, cleo)).status_code == 204
    assert client.delete(at(deal, bob)).status_code == 204
    assert (listed(client, deal), stored(deal)) == (([], 0), (None, []))


@pytest.mark.parametrize(
    "clear",
    [
        lambda client, deal: client.patch(f"{URL}{deal.pk}/", {"contact": None}),
        lambda client, deal: client.put(f"{URL}{deal.pk}/", {"name": "Deal"}),
        lambda client, deal: client.post(
            f"{URL}bulk_update/", {"ids": [deal.pk], "action": "update", "data": {"contact": None}}
        ),
        lambda client, deal: Opportunity.objects.filter(pk=deal.pk).update(contact=None),
        lambda client, deal: Contact.objects.get(pk=deal.contact_id).delete(),
    ],
)
def test_whichever_way_the_primary_contact_goes_the_next_one_takes_its_place(client, deal, ada, bob, clear):
    OpportunityContactFactory(opportunity=deal, contact=ada, role="decision_maker")
    OpportunityContactFactory(opportunity=deal, contact=bob, role="champion")
    answer = clear(client, deal)
    assert getattr(answer, "status_code", 200) == 200, answer.json()
    assert stored(deal) == (bob.pk, [(bob.pk, "champion")])


def test_setting_the_contact_replaces_one_without_a_role_and_keeps_the_others(client, deal, ada, bob):
    cleo = ContactFactory(owner=deal.owner)
    assert client.patch(f"{URL}{deal.pk}/", {"contact": bob.pk}).status_code == 200
    assert listed(client, deal) == ([(bob.pk, "", True)], 0)
    assert client.patch(at(deal, bob), {"role": "champion"}).status_code == 200
    assert client.patch(f"{URL}{deal.pk}/", {"contact": cleo.pk}).status_code == 200
    assert listed(client, deal) == ([(cleo.pk, "", True), (bob.pk, "champion", False)], 0)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "contact"),
        ({"contact": None}, 400, "contact"),
        ({"contact": 999_999_999}, 400, "contact"),
        ({"contact": "x"}, 400, "contact"),
        ({"contact": "bob", "role": "boss"}, 400, "role"),
        ({"contact": "bob", "role": "other"}, 400, "role_text"),
        ({"contact": "bob", "role": "champion", "role_text": "x"}, 400, "role_text"),
        ({"contact": "bob", "role": "other", "role_text": "x" * 121}, 400, "role_text"),
        ({"contact": "bob", "is_primary": "perhaps"}, 400, "is_primary"),
        ({"contact": "bob", "name": "Bob"}, 400, "name"),
        ({"contact": "bob", "colour": "red"}, 400, "colour"),
        ({"contact": "hers"}, 400, "contact"),
        ({"contact": "archived"}, 400, "contact"),
        ({"contact": "ada"}, 409, "contact"),
    ],
)
def test_what_cannot_be_added_is_refused_and_nothing_is_stored(
    client, make_user, deal, ada, bob, body, status, field
):
    known = {
        "ada": ada.pk,
        "bob": bob.pk,
        "hers": ContactFactory(owner=make_user("rep")).pk,
        "archived": ContactFactory(owner=deal.owner, archived_at="2026-01-01T00:00Z").pk,
    }
    answer = client.post(at(deal), body | {n: known[v] for n, v in body.items() if v in known})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, field), answer.json()
    assert stored(deal) == (ada.pk, [])


def test_a_contact_is_changed_within_its_deal_only(client, deal, make_deal, ada, bob):
    assert client.patch(at(deal, bob), {"role": "champion"}).status_code == 404
    assert client.delete(at(deal, bob)).status_code == 404
    refused = client.patch(at(deal, ada), {"contact": bob.pk})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "contact")
    refused = client.patch(at(deal, ada), {"is_primary": False})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "is_primary")
    stale = client.patch(at(deal, ada), {"role": "champion"}, headers={"If-Match": f'"{deal.pk}-77"'})
    assert (stale.status_code, stored(deal)) == (412, (ada.pk, []))


def test_a_deal_has_so_many_contacts_and_no_more(client, deal, bob, monkeypatch):
    monkeypatch.setattr("opportunities.deal_contacts.AT_MOST", 1)
    answer = client.post(at(deal), {"contact": bob.pk})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "contact")
    assert stored(deal)[1] == []


def test_who_does_not_see_a_contact_reads_that_there_is_one(api, admin, make_user, deal, ada, bob):
    OpportunityContactFactory(opportunity=deal, contact=bob)
    other = make_user("rep")
    Opportunity.objects.filter(pk=deal.pk).update(assigned_to=other)
    Contact.objects.filter(pk=bob.pk).update(assigned_to=other)
    client = api(other)
    assert listed(client, deal) == ([(bob.pk, "", False)], 1)
    assert client.patch(at(deal, ada), {"role": "champion"}).status_code == 404
    assert client.delete(at(deal, ada)).status_code == 404
    assert client.patch(at(deal, bob), {"role": "champion"}).status_code == 200
    assert stored(deal) == (ada.pk, [(bob.pk, "champion")])
    assert api(make_user("rep")).get(at(deal)).status_code == 404
    viewer = api(make_user("viewer"))
    assert viewer.post(at(deal), {"contact": bob.pk}).status_code == 403
    assert listed(admin, deal) == ([(ada.pk, "", True), (bob.pk, "champion", False)], 0)


def test_a_key_needs_the_scope_of_contacts(api, deal, rep, ada):
    client, (_, key) = api(), keys.make(rep, "test", ["opportunities:write"])
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    assert client.get(f"{URL}{deal.pk}/").status_code == 200
    assert client.get(at(deal)).json()["type"] == "/problems/scope-missing"
    assert client.get(URL, {"any_contact": ada.pk}).json()["type"] == "/problems/scope-missing"
    assert client.patch(at(deal, ada), {"role": "champion"}).status_code == 403
    assert stored(deal) == (ada.pk, [])
    assert _cells(client) == ["1 more"]


def test_a_contact_is_added_to_the_deal_that_was_read_or_not_at_all(client, deal, bob):
    stale = client.post(at(deal), {"contact": bob.pk, "is_primary": True}, headers={"If-Match": '"0-0"'})
    assert stale.status_code == 412
    assert OpportunityContact.objects.count() == 0
    present = client.get(f"{URL}{deal.pk}/").headers["ETag"]
    made = client.post(at(deal), {"contact": bob.pk}, headers={"If-Match": present})
    assert made.status_code == 201


def test_deals_of_a_contact_are_found_primary_or_not(client, deal, make_deal, ada, bob, make_user):
    second = make_deal(contact=bob)
    OpportunityContactFactory(opportunity=second, contact=ada)
    ids = lambda contact: {r["id"] for r in client.get(URL, {"any_contact": contact.pk}).json()["results"]}  # noqa: E731
    assert (ids(ada), ids(bob)) == ({deal.pk, second.pk}, {second.pk})
    hidden = ContactFactory(owner=make_user("rep"))
    OpportunityContactFactory(opportunity=second, contact=hidden)
    assert ids(hidden) == set()
    found = client.get(f"/api/v1/contacts/{ada.pk}/dependents/").json()["results"]
    assert {(one["field"], one["count"]) for one in found} == {("contact", 1), ("contacts", 1)}
    assert [one.field for one in dependents(entities["contact"], [ada.pk, bob.pk], deal.owner)] == ["contact"]


def test_what_came_and_went_is_on_the_timeline_and_in_the_audit_trail(client, api, make_user, rep, deal, bob):
    client.post(at(deal), {"contact": bob.pk, "role": "champion"})
    client.patch(at(deal, bob), {"role": "blocker"})
    client.delete(at(deal, bob))
    entries = client.get(f"{URL}{deal.pk}/timeline/", {"kind": "contact"}).json()["results"]
    shown = [
        (e["type"], e["title"], e["data"]["contact"], e["data"]["changes"], e["actor"]["id"]) for e in entries
    ]
    named = {"id": bob.pk, "name": "Bob Bell"}
    assert shown == [
        (
            "deleted",
            "removed contact Bob Bell",
            named,
            {"role": {"old": "blocker", "new": None}, "role_text": {"old": "", "new": None}},
            rep.pk,
        ),
        (
            "updated",
            "changed contact Bob Bell",
            named,
            {"role": {"old": "champion", "new": "blocker"}},
            rep.pk,
        ),
        (
            "created",
            "added contact Bob Bell",
            named,
            {"role": {"old": None, "new": "champion"}, "role_text": {"old": None, "new": ""}},
            rep.pk,
        ),
    ]
    trail = Change.objects.filter(entity="opportunity_contact", object_id=deal.pk)
    assert [(c.kind, c.source) for c in trail] == [("created", "api"), ("updated", "api"), ("deleted", "api")]
    other = make_user("rep")
    Opportunity.objects.filter(pk=deal.pk).update(assigned_to=other)
    seen = api(other).get(f"{URL}{deal.pk}/timeline/", {"kind": "contact"}).json()["results"]
    assert (seen[0]["title"], seen[0]["data"]["contact"]) == ("removed a contact", None)


def test_psql_is_held_to_the_same(deal, make_deal, ada, bob):
    empty = make_deal()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO opportunities_opportunitycontact (opportunity_id, contact_id)"
            " VALUES (%s, %s), (%s, %s)",
            [empty.pk, bob.pk, deal.pk, bob.pk],
        )
        cursor.execute("UPDATE opportunities_opportunity SET contact_id = NULL WHERE id = %s", [deal.pk])
    assert (stored(empty)[0], stored(deal)[0]) == (bob.pk, bob.pk)
    for wrong in ({"role": "boss"}, {"role": "champion", "role_text": "x"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            OpportunityContact.objects.filter(opportunity=deal).update(**wrong)


def test_merging_contacts_moves_their_roles_and_taking_it_back_too(client, deal, make_deal, ada, bob, rep):
    """One deal where the merged contact is primary, one where it has a role, one where both are."""
    with_role, both = make_deal(contact=ContactFactory(owner=rep)), make_deal(contact=bob)
    OpportunityContactFactory(opportunity=deal, contact=ada, role="decision_maker")
    OpportunityContactFactory(opportunity=with_role, contact=ada, role="champion")
    OpportunityContactFactory(opportunity=both, contact=ada, role="evaluator")
    deals = (deal, with_role, both)
    before = [stored(one) for one in deals]
    answer = client.post("/api/v1/contacts/merge/", {"survivor": bob.pk, "merged": [ada.pk]})
    assert answer.status_code == 200, answer.json()
    assert listed(client, deal) == ([(bob.pk, "decision_maker", True)], 0)
    assert listed(client, with_role)[0][1:] == [(bob.pk, "champion", False)]
    assert listed(client, both) == ([(bob.pk, "evaluator", True)], 0)
    assert client.post(f"/api/v1/merges/{answer.json()['id']}/undo/").status_code == 200
    assert [stored(one) for one in deals] == before


def test_an_archived_contact_is_left_out_and_comes_back(client, deal, ada, bob):
    OpportunityContactFactory(opportunity=deal, contact=bob, role="champion")
    assert client.delete(f"/api/v1/contacts/{bob.pk}/").status_code == 204
    assert listed(client, deal) == ([(ada.pk, "", True)], 0)
    client.post(f"/api/v1/contacts/{bob.pk}/restore/")
    assert listed(client, deal) == ([(ada.pk, "", True), (bob.pk, "champion", False)], 0)
    client.delete(f"/api/v1/contacts/{bob.pk}/")
    assert client.delete(at(deal, bob)).status_code == 204
    assert stored(deal) == (ada.pk, [])


def test_an_export_names_the_contacts_and_their_roles(client, admin, deal, make_deal, make_user, ada, bob):
    OpportunityContactFactory(opportunity=deal, contact=bob, role="other", role_text="Counsel")
    OpportunityContactFactory(
        opportunity=deal, contact=ContactFactory(first_name="Eve", owner=make_user("rep"))
    )
    make_deal()
    two = f"contact {ada.pk} Ada Lovelace; contact {bob.pk} Bob Bell (Counsel)"
    assert _cells(client) == [f"{two}; 1 more", ""]
    assert re.match(re.escape(two) + "; contact [0-9]+ Eve", _cells(admin)[0])


def test_a_long_export_names_them_all(client, deal, ada, rep):
    OpportunityFactory.create_batch(1_500, owner=rep, contact=ada, pipeline=deal.pipeline, stage=deal.stage)
    lines = _text(client).splitlines()
    assert (len(lines), {line.partition(",")[2] for line in lines[1:]}) == (
        1_502,
        {f'"contact {ada.pk} Ada Lovelace"'},
    )


def _text(client, **params):
    answer = client.get(
        "/api/v1/export/opportunities/", {"fields": "id,contacts", "ordering": "id", **params}
    )
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()


def _cells(client):
    return [row["contacts"] for row in csv.DictReader(io.StringIO(_text(client)))]


def test_an_import_sets_the_primary_contact_and_its_undoing_brings_the_one_before_back(
    client, deal, ada, bob
):
    Opportunity.objects.filter(pk=deal.pk).update(external_id="D1")
    file = f"external_id,contact\nD1,{bob.pk}\n"
    done = upload(client, file, "opportunities", duplicates="update").json()
    assert (done["updated"], stored(deal)) == (1, (bob.pk, []))
    assert client.post(f"{done['url']}undo/").json()["restored"] == 1
    assert stored(deal) == (ada.pk, [])


def test_the_page_of_a_deal_adds_changes_and_removes_its_contacts(staff_client, deal, ada, bob, make_user):
    page = f"/admin/opportunities/opportunity/{deal.pk}/change/"
    rows = "deal_contacts-"
    added = {f"{rows}TOTAL_FORMS": "2"}
    for n, (contact, role) in enumerate(((bob, "champion"), (ada, "decision_maker"))):
        added |= {f"{rows}{n}-contact": contact.pk, f"{rows}{n}-role": role, f"{rows}{n}-role_text": ""}
        added |= {f"{rows}{n}-opportunity": deal.pk}
    sent = staff_client.post(page, filled_in(staff_client.get(page), **added))
    assert sent.status_code == 302, sent.context["errors"]
    assert stored(deal) == (ada.pk, [(bob.pk, "champion"), (ada.pk, "decision_maker")])
    assert {c.source for c in Change.objects.filter(entity="opportunity_contact")} == {"admin"}
    kept = filled_in(staff_client.get(page))
    assert staff_client.post(page, kept).status_code == 302
    assert Change.objects.filter(entity="opportunity_contact").count() == 2
    refused = staff_client.post(page, kept | {f"{rows}0-role": "other"})
    assert "Say which other role it is." in refused.content.decode()
    hidden = ContactFactory(owner=make_user("rep"))
    assert staff_client.post(page, kept | {f"{rows}0-contact": hidden.pk}).status_code == 200
    assert staff_client.post(page, kept | {f"{rows}1-DELETE": "on"}).status_code == 302
    assert stored(deal) == (bob.pk, [(bob.pk, "champion")])
    contact = staff_client.get(f"/admin/contacts/contact/{bob.pk}/change/").context["record_page"]
    assert [line.title for panel in contact["panels"] for line in panel.lines] == [deal.name]
    OpportunityContactFactory(opportunity=deal, contact=ada)
    all_of_them = {f"{rows}0-DELETE": "on", f"{rows}1-DELETE": "on"}
    assert staff_client.post(page, filled_in(staff_client.get(page), **all_of_them)).status_code == 302
    assert stored(deal) == (None, [])


@pytest.fixture
def staff_client(rep):
    rep.is_staff = True
    rep.save()
    client = Client()
    client.force_login(rep)
    return client
