"""The contacts of deals in files: exported, imported and taken back, with their roles."""

import csv
import io

import pytest

from contacts.tests.factories import ContactFactory
from core.accounts import keys
from core.changes import audit_context
from core.changes.models import Change
from core.transfer.reading.table import Table
from core.transfer.tests.uploads import upload
from opportunities.models import Opportunity, OpportunityContact
from opportunities.tests.factories import OpportunityContactFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(api, rep):
    return api(rep)


@pytest.fixture
def ada(rep):
    return ContactFactory(first_name="Ada", last_name="Lovelace (Byron)", email="ada@x.example", owner=rep)


@pytest.fixture
def bob(rep):
    return ContactFactory(first_name="Bob", last_name="Bell", owner=rep)


@pytest.fixture
def eve(make_user):
    """A contact that the rep does not see."""
    return ContactFactory(first_name="Eve", owner=make_user("rep"))


@pytest.fixture
def deal(make_deal, ada):
    """A deal whose primary contact is Ada."""
    return make_deal(contact=ada, external_id="D1")


def load(client, text, **options):
    """The answer to an import of deals that updates those that are there."""
    answer = upload(client, text, "opportunities", **{"duplicates": "update"} | options)
    assert answer.status_code == 200, answer.json()
    return answer.json()


def outcome(body):
    figures = ("created", "updated", "unchanged", "failed", "warned")
    return {name: body[name] for name in figures if body[name]}


def stored(deal):
    """The deal's primary contact, and (contact, role, its text) of what is stored beside it."""
    deal.refresh_from_db()
    rows = deal.deal_contacts.order_by("contact__first_name")
    return deal.contact_id, list(rows.values_list("contact", "role", "role_text"))


def exported(client, fields):
    answer = client.get("/api/v1/export/opportunities/", {"fields": fields})
    return b"".join(answer.streaming_content).decode()


@pytest.fixture
def several(deal, ada, bob, eve):
    """The deal with Ada, Bob, and Eve, whom the rep does not see."""
    OpportunityContactFactory(opportunity=deal, contact=ada, role="champion")
    OpportunityContactFactory(opportunity=deal, contact=bob, role="other", role_text="CFO (interim)")
    OpportunityContactFactory(opportunity=deal, contact=eve, role="blocker")
    return deal


def test_what_was_exported_is_imported_without_a_change(client, several, ada, bob):
    text = exported(client, "id,name,contacts")
    [row] = csv.DictReader(io.StringIO(text))
    assert row["contacts"] == (
        f"contact {ada.pk} Ada Lovelace (Byron) (champion); contact {bob.pk} Bob Bell (CFO (interim)); 1 more"
    )
    before = stored(several)
    assert outcome(load(client, text)) == {"unchanged": 1}
    assert (stored(several), Change.objects.filter(source="import").count()) == (before, 0)


def test_names_and_roles_with_separators_in_them_come_back(client, several, ada, bob):
    several.deal_contacts.filter(contact=bob).update(role_text="CFO; signs, 2 more to ask")
    type(ada).objects.filter(pk=ada.pk).update(last_name="Lovelace; Byron")
    text = exported(client, "external_id,name,contacts")
    assert "(CFO; signs, 2 more to ask); 1 more" in text
    assert outcome(load(client, text)) == {"unchanged": 1}
    assert outcome(load(client, text.replace("D1", "D2"))) == {"created": 1}
    made = Opportunity.objects.get(external_id="D2")
    expected = [(ada.pk, "champion", ""), (bob.pk, "other", "CFO; signs, 2 more to ask")]
    assert stored(made) == (ada.pk, expected)


def test_an_export_brings_the_contacts_of_deals_that_are_gone_back(client, several, ada, bob):
    text = exported(client, "name,external_id,contacts")
    OpportunityContact.objects.all().delete()
    Opportunity.objects.all().delete()
    assert outcome(load(client, text)) == {"created": 1}
    expected = [(ada.pk, "champion", ""), (bob.pk, "other", "CFO (interim)")]
    assert stored(Opportunity.objects.get()) == (ada.pk, expected)


def test_a_cell_replaces_those_that_the_importer_sees_but_the_primary_one(
    client, several, ada, bob, eve, rep
):
    zoe = ContactFactory(first_name="Zoe", last_name="Zuse", owner=rep)
    text = "external_id,contacts\nD1,Zoe Zuse (Decision Maker)\n"
    assert outcome(load(client, text)) == {"updated": 1}
    kept = [(ada.pk, "champion", ""), (eve.pk, "blocker", "")]
    assert stored(several) == (ada.pk, [*kept, (zoe.pk, "decision_maker", "")])
    assert outcome(load(client, text)) == {"unchanged": 1}
    assert outcome(load(client, "external_id,contacts\nD1,\n", clear_blank="true")) == {"updated": 1}
    assert stored(several) == (ada.pk, kept)


@pytest.mark.parametrize("clear_blank", ["false", "true"])
def test_a_cell_that_counts_others_takes_none_away(api, admin_user, several, ada, bob, eve, clear_blank):
    boss, zoe, before = api(admin_user), ContactFactory(first_name="Zoe"), stored(several)
    text = "external_id,contacts\nD1,3 more\n"
    assert outcome(load(boss, text, clear_blank=clear_blank)) == {"unchanged": 1}
    assert stored(several) == before
    text = f"external_id,contacts\nD1,contact {zoe.pk} (champion); contact {bob.pk}; 2 more\n"
    assert outcome(load(boss, text, clear_blank=clear_blank)) == {"updated": 1}
    assert stored(several) == (before[0], [*before[1], (zoe.pk, "champion", "")])


def test_a_cell_that_names_nothing_is_a_blank_one(client, several, ada, eve):
    before = stored(several)
    assert outcome(load(client, "external_id,contacts\nD1, ; \n")) == {"unchanged": 1}
    assert stored(several) == before
    assert outcome(load(client, "external_id,contacts\nD1, ; \n", clear_blank="true")) == {"updated": 1}
    assert [contact for contact, *_ in stored(several)[1]] == [ada.pk, eve.pk]


def test_a_role_changes_where_the_cell_says_one(client, several, ada, bob, eve):
    cell = f"contact {ada.pk} (influencer); contact {bob.pk}"
    assert outcome(load(client, f"external_id,contacts\nD1,{cell}\n")) == {"updated": 1}
    expected = [(ada.pk, "influencer", ""), (bob.pk, "other", "CFO (interim)"), (eve.pk, "blocker", "")]
    assert stored(several) == (ada.pk, expected)


def test_the_contact_of_the_row_is_the_primary_one_wherever_the_cell_names_it(client, ada, bob):
    cells = f"{bob.pk},contact {ada.pk}; contact {bob.pk} (champion)"
    assert outcome(load(client, f"external_id,name,contact,contacts\nN1,New,{cells}\n")) == {"created": 1}
    expected = [(ada.pk, "", ""), (bob.pk, "champion", "")]
    assert stored(Opportunity.objects.get()) == (bob.pk, expected)


@pytest.mark.parametrize(
    "cell", ["3", "Nobody (champion)", "contact {eve}", "contact {bob} (" + "x" * 121 + ")"]
)
def test_what_cannot_be_read_is_a_fault_of_its_row(client, deal, ada, bob, eve, cell):
    cell = cell.format(eve=eve.pk, bob=bob.pk)
    text = f"external_id,name,contacts\nD1,Other,{cell}\n"
    body = load(client, text, on_bad_value="error")
    fault = body["error_details"][0]["errors"][0]
    assert (outcome(body), fault["column"]) == ({"failed": 1}, "contacts")
    body = load(client, text)
    assert (outcome(body), stored(deal)) == ({"updated": 1, "warned": 1}, (ada.pk, []))


def test_a_name_of_several_is_not_taken_for_another_with_a_role(client, deal, ada, rep):
    ann = ContactFactory(first_name="Ann", last_name="Lee", owner=rep)
    ContactFactory.create_batch(2, first_name="Ann", last_name="Lee (Paris)", owner=rep)
    body = load(client, "external_id,contacts\nD1,Ann Lee (Paris)\n", on_bad_value="error")
    fault = body["error_details"][0]["errors"][0]
    assert (fault["code"], stored(deal)) == ("ambiguous", (ada.pk, []))
    load(client, f"external_id,contacts\nD1,contact {ann.pk} Ann Lee (Paris)\n", on_bad_value="error")
    assert stored(deal) == (ada.pk, [(ann.pk, "other", "Paris")])


def test_a_deal_has_no_more_contacts_than_over_the_api(client, several, bob, rep, monkeypatch):
    monkeypatch.setattr("opportunities.linked.AT_MOST", 3)
    before = stored(several)
    others = "; ".join(f"contact {c.pk}" for c in ContactFactory.create_batch(2, owner=rep))
    body = load(client, f"external_id,contacts\nD1,{others}\n", on_bad_value="error")
    assert body["error_details"][0]["errors"][0]["code"] == "max_length"
    assert (outcome(body), stored(several)) == ({"failed": 1}, before)


def test_a_key_needs_the_scope_of_contacts(api, rep, deal, ada, bob):
    client, (_, key) = api(), keys.make(rep, "test", ["opportunities:write"])
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    for cell in (f"contact {bob.pk}", "Bob Bell"):
        assert load(client, f"external_id,contacts\nD1,{cell}\n")["warned"] == 1
    assert stored(deal) == (ada.pk, [])


def test_undo_brings_the_contacts_and_roles_before_back(client, several, ada, bob, rep):
    before = stored(several)
    ContactFactory(first_name="Zoe", last_name="Zuse", owner=rep)
    body = load(client, f"external_id,contacts\nD1,contact {ada.pk} (influencer); Zoe Zuse (champion)\n")
    assert stored(several) != before
    undone = client.post(f"{body['url']}undo/").json()
    assert (undone["restored"], undone["kept"], stored(several)) == (1, 0, before)


def test_undo_takes_the_first_contact_away_again(client, make_deal, bob, ada):
    deal = make_deal(external_id="D2", contact=None)
    body = load(client, f"external_id,contacts\nD2,contact {bob.pk}; contact {ada.pk}\n")
    assert stored(deal)[0] == bob.pk
    assert client.post(f"{body['url']}undo/").json()["restored"] == 1
    assert stored(deal) == (None, [])


def test_undo_removes_deals_with_the_contacts_they_came_with(client, ada, bob):
    body = load(client, f"name,contacts\nNew,contact {ada.pk}; contact {bob.pk} (champion)\n")
    undone = client.post(f"{body['url']}undo/").json()
    assert (undone["removed"], undone["kept"]) == (1, 0)
    assert not OpportunityContact.objects.exists()


def test_undo_keeps_deals_whose_contacts_were_changed_since(client, deal, ada, bob, rep):
    body = load(client, f"external_id,contacts\nD1,contact {bob.pk}\n")
    changed = client.patch(f"/api/v1/opportunities/{deal.pk}/contacts/{bob.pk}/", {"role": "champion"})
    assert changed.status_code == 200
    undone = client.post(f"{body['url']}undo/").json()
    assert (undone["restored"], undone["kept"]) == (0, 1)
    assert stored(deal) == (ada.pk, [(bob.pk, "champion", "")])


def test_undo_brings_back_what_an_import_changed_several_times(client, several, ada, bob, rep):
    before = stored(several)
    zoe = ContactFactory(first_name="Zoe", owner=rep)
    body = load(client, f"external_id,contacts\nD1,contact {zoe.pk}; contact {ada.pk} (influencer)\n")
    rows = several.deal_contacts
    with audit_context(rep, source="import", import_id=int(body["url"].split("/")[-2]), automation=False):
        rows.filter(contact=ada).delete()
        rows.create(contact=bob)
        rows.filter(contact=zoe).update(role="champion")
    undone = client.post(f"{body['url']}undo/").json()
    assert (undone["restored"], undone["kept"], stored(several)) == (1, 0, before)


# ---- Several rows about one deal ----


@pytest.fixture
def one_by_one(monkeypatch):
    """Each row is a chunk of its own."""
    monkeypatch.setattr(Table.chunks, "__defaults__", (1,))


@pytest.mark.parametrize("clear_blank", ["false", "true"])
def test_rows_of_one_deal_join_over_chunks(client, several, ada, bob, eve, one_by_one, clear_blank, rep):
    zoe = ContactFactory(first_name="Zoe", owner=rep)
    text = f"external_id,name,contacts\nD1,X,\nD1,X,contact {bob.pk}\nD1,X,contact {zoe.pk}\nD1,X,\n"
    load(client, text, clear_blank=clear_blank)
    assert [contact for contact, *_ in stored(several)[1]] == [ada.pk, bob.pk, eve.pk, zoe.pk]
    if clear_blank == "false":
        assert stored(several)[1][1] == (bob.pk, "other", "CFO (interim)")
    load(client, f"name,external_id,contacts\nN,N1,contact {bob.pk}\nN,N1,contact {zoe.pk}\n")
    made = Opportunity.objects.get(external_id="N1")
    assert [contact for contact, *_ in stored(made)[1]] == [bob.pk, zoe.pk]


@pytest.mark.parametrize("cells", [["Nobody", "contact {zoe}"], ["contact {zoe}", "Nobody"]])
def test_contacts_stay_where_a_row_of_the_deal_could_not_be_read(client, several, rep, cells):
    zoe = ContactFactory(first_name="Zoe", owner=rep)
    rows = "".join(f"D1,{cell.format(zoe=zoe.pk)}\n" for cell in cells)
    before = stored(several)
    body = load(client, f"external_id,contacts\n{rows}")
    assert (body["updated"], body["warned"], stored(several)) == (0, 1, before)


def test_contacts_stay_where_a_row_in_a_chunk_before_could_not_be_read(client, several, one_by_one, rep):
    zoe = ContactFactory(first_name="Zoe", owner=rep)
    before = stored(several)
    load(client, f"external_id,contacts\nD1,Nobody\nD1,contact {zoe.pk}\n")
    assert stored(several) == before
