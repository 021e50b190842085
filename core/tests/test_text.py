"""Text: stored in one form, found and ordered whatever its case, accents and width, phones by digits."""

import unicodedata

import pytest
from django.db import connection

from contacts.tests.factories import CompanyFactory, ContactFactory
from core.conditions.list_query import list_query
from core.customization.tests.factories import CustomFieldFactory
from core.entities.finding import search
from core.models.folding import digits, fold
from lead_management.entity import LEAD
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
NFC, NFD = "José Müller", unicodedata.normalize("NFD", "José Müller")
LEADS = "/api/v1/leads/"
# Letters that got an upper case after Unicode 14, which Python 3.11 knows.
LATER = set("\u019b\u0264\U00010791")


def wide(text):
    """In the full width of East Asian typesetting."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def test_python_and_postgresql_fold_every_letter_alike():
    known = [chr(i) for i in range(1, 0x20000) if unicodedata.category(chr(i)) not in ("Cn", "Cs", "Co")]
    folded = sql("SELECT c, crm_fold(c) FROM unnest(%s::text[]) AS c", known)
    assert len(folded) == len(known)
    assert {c for c, there in folded if fold(c) != there} <= LATER


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("José", "JOSE"),
        ("Jose\u0301", "JOSE"),
        ("Müller", "MULLER"),
        ("straße", "STRASSE"),
        ("ﬁn", "FIN"),
        (wide("JoSe123"), "JOSE123"),
        ("Łódź", "LODZ"),
        ("Ærø", "AERO"),
        ("İzmir \u0131l\u0131k", "IZMIR ILIK"),
        ("\u1f48\u03b4\u03cd\u03c2", "\u039f\u0394\u03a5\u03a3"),
    ],
)
def test_case_accents_and_width_are_folded(text, folded):
    assert fold(text) == folded
    assert sql("SELECT crm_fold(%s)", text) == [(folded,)]


def test_digits_of_any_script_are_digits():
    assert digits(f"+49 ({wide('030')}) \u0664\u0665\u0666") == "49030456"


# ---- One form, whichever door ----


def lead_by_api(admin):
    body = {"first_name": NFD, "tags": [NFD], "custom_fields": {"nick": NFD, "cafe": NFD.lower()}}
    answer = admin.post(LEADS, body, format="json")
    assert answer.status_code == 201, answer.json()
    assert answer.json()["first_name"] == NFC
    return answer.json()["id"]


def lead_by_bulk(admin):
    pk = admin.post(LEADS, {"first_name": "x"}, format="json").json()["id"]
    data = {"first_name": NFD, "tags": [NFD], "custom_fields": {"nick": NFD, "cafe": NFD}}
    admin.post(f"{LEADS}bulk_update/", {"ids": [pk], "action": "update", "data": data}, format="json")
    return pk


def lead_in_a_shell(admin):
    return LeadFactory(first_name=NFD, tags=[NFD], custom_fields={"nick": NFD, "cafe": NFC}).pk


def lead_by_update(admin):
    pk = LeadFactory(first_name="x").pk
    Lead.objects.filter(pk=pk).update(first_name=NFD, tags=[NFD], custom_fields={"nick": NFD, "cafe": NFC})
    return pk


def lead_by_sql(admin):
    [(pk,)] = sql(
        "INSERT INTO lead_management_lead (first_name, tags, custom_fields) VALUES (%s, ARRAY[%s],"
        " jsonb_build_object('nick', %s::text, 'cafe', %s::text)) RETURNING id",
        NFD, NFD, NFD, NFC,
    )  # fmt: skip
    return pk


@pytest.mark.parametrize("made", [lead_by_api, lead_by_bulk, lead_in_a_shell, lead_by_update, lead_by_sql])
def test_text_is_stored_composed_whoever_writes_it(admin, made):
    CustomFieldFactory(entity="lead", key="nick", type="text")
    CustomFieldFactory(entity="lead", key="cafe", type="choice", choices=[NFD])
    stored = Lead.objects.get(pk=made(admin))
    assert (stored.first_name, stored.tags, stored.custom_fields) == (NFC, [NFC], {"nick": NFC, "cafe": NFC})


def test_composing_leaves_the_rest_of_a_row_as_it_is(admin_user):
    values = {
        "estimated_value": "12345678901.25",
        "conversion_probability": 0.1 + 0.2,
        "company_size": 7,
        "owner": admin_user,
        "tags": ['a "b"', "{c,d}"],
        "custom_fields": {"n": 1.50, "deep": [{"x": None}]},
        "notes": 'tab\t"quoted"\\',
    }
    plain = LeadFactory(first_name="Jose", **values)
    composed = LeadFactory(first_name=NFD, **values, created_at=plain.created_at)
    for lead in (plain, composed):
        lead.refresh_from_db()
    differing = {
        f.name
        for f in Lead._meta.concrete_fields
        if getattr(plain, f.attname) != getattr(composed, f.attname)
    }
    assert differing <= {"id", "first_name", "search_text", "updated_at"}


def test_what_is_no_record_is_composed_too(admin):
    view = {"entity": "lead", "name": NFD, "conditions": {"first_name": NFD}}
    made = admin.post("/api/v1/saved_views/", view, format="json").json()
    assert (made["name"], made["conditions"]) == (NFC, {"first_name": NFC})
    field = {"entity": "lead", "key": "kind", "label": NFD, "type": "choice", "choices": [NFD]}
    made = admin.post("/api/v1/custom_fields/", field, format="json").json()
    assert (made["label"], made["choices"]) == (NFC, [NFC])
    LeadFactory(first_name="x", tags=[NFC])
    body = {"entity": "lead", "tag": NFD, "to": "renamed"}
    assert admin.post("/api/v1/tags/rename/", body, format="json").json() == {"updated": 1}


# ---- Found ----


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        (NFC, "jose"),
        (NFC, "muller"),
        (NFC, NFD),
        ("Jose Muller", "JOSÉ"),
        ("Weiß", "weiss"),
        (wide("123") + " Ltd", "123"),
        ("Łukasz", "lukasz"),
        ("Søren", "soren"),
        ("Anna-Lena", "le"),
        ("O'Neil", "ne"),
        ("Ada Byron", "by"),
    ],
)
def test_a_name_is_found_however_it_is_written(admin, name, asked):
    LeadFactory(first_name=name)
    LeadFactory(first_name="Zed")
    for parameters in ({"search": asked}, {"first_name__contains": asked}):
        found = admin.get(LEADS, parameters).json()["results"]
        assert [row["first_name"] for row in found] == [name], parameters


def test_two_letters_are_looked_for_where_words_begin(admin):
    for name in ("Peter", "Etta", "Anna ET", "ét-al"):
        LeadFactory(first_name=name)
    found = admin.get(LEADS, {"search": "et", "ordering": "id"}).json()["results"]
    assert [row["first_name"] for row in found] == ["Etta", "Anna ET", "ét-al"]


def test_duplicates_are_named_and_companies_found_by_folded_name(admin):
    CompanyFactory(name="Café Müller")
    for name in (unicodedata.normalize("NFD", "café müller"), "CAFE MULLER", wide("Cafe Muller")):
        twins = admin.post("/api/v1/companies/", {"name": name}, format="json").json()["possible_duplicates"]
        assert "Café Müller" in [twin["name"] for twin in twins]


def test_a_lead_is_converted_into_the_company_that_is_written_otherwise(admin):
    company = CompanyFactory(name="Société Générale")
    lead = LeadFactory(first_name="Ada", company_name="SOCIETE GENERALE")
    answer = admin.post(f"{LEADS}{lead.pk}/convert/", {}, format="json").json()
    assert (answer["company_id"], answer["created"]["company"]) == (company.pk, False)


def test_users_and_tags_are_found_by_folded_text(admin, make_user):
    make_user(username="jm", first_name="José", last_name="Müller")
    found = admin.get("/api/v1/users/", {"search": "jose muller"}).json()["results"]
    assert [user["username"] for user in found] == ["jm"]
    LeadFactory(first_name="x", tags=["Año"])
    assert [row["tag"] for row in admin.get("/api/v1/tags/", {"search": "ANO"}).json()["results"]] == ["Año"]


# ---- Phones ----

US, BERLIN, LONDON = "+14155550132", "+493012345678", "+442079460958"


@pytest.mark.parametrize(
    ("number", "asked"),
    [
        (US, "(415) 555-0132"),
        (US, "415.555.0132"),
        (US, "+1 415 555 0132"),
        (US, "1-415-555-0132"),
        (US, "555-0132"),
        (US, "(415)"),
        (US, wide("415-555")),
        (BERLIN, "030/12345678"),
        (BERLIN, "0049 30 12345678"),
        (BERLIN, "030 1234 5678"),
        (BERLIN, "+49 (0) 30 / 123 456-78"),
        (BERLIN, "03012345678"),
        (LONDON, "+44 (0)20 7946 0958"),
        (LONDON, "020 7946"),
        ("06 12 34 56 78", "0612345678"),
        ("06 12 34 56 78", "06.12.34"),
        (f"{US};ext=12", "415-555-0132"),
    ],
)
def test_a_phone_number_is_found_however_it_is_written(admin, number, asked):
    LeadFactory(first_name="Ada", mobile=number)
    LeadFactory(first_name="Bob", phone="+33987654321")
    ContactFactory(first_name="Cy", additional_phones=["+33987654321", number])
    for path in (LEADS, "/api/v1/contacts/"):
        found = admin.get(path, {"search": asked}).json()["results"]
        assert [row["first_name"] for row in found] == ["Ada" if path == LEADS else "Cy"]
    assert [row["first_name"] for row in admin.get(LEADS, {"mobile__contains": asked}).json()["results"]] == [
        "Ada"
    ]


def test_parts_of_numbers_are_compared_by_digits(admin):
    LeadFactory(first_name="Ada", phone=US)
    asked = {
        "phone__contains": "555-0132",
        "phone__starts_with": "+1 (415)",
        "phone__ends_with": "01-32",
        "phone": "(415) 555-0132",
    }
    for name, value in asked.items():
        assert admin.get(LEADS, {name: value}).json()["count"] == 1, name
    assert admin.get(LEADS, {"phone__contains": "555-0133"}).json()["count"] == 0
    assert admin.get(LEADS, {"phone__contains": "abc"}).json()["count"] == 0


def test_a_number_that_is_a_name_is_still_found_as_it_is_written(admin):
    LeadFactory(first_name="x", company_name="24/7 Services")
    for asked in ("24/7", "24/7 serv"):
        assert admin.get(LEADS, {"search": asked}).json()["count"] == 1


# ---- Ordered ----


def test_names_are_ordered_as_people_order_them(admin):
    names = ["Ask", "Åre", "apt", "Zoë", "zebra", "Éclair", "eclipse", "Öz", "łan", "Lana"]
    CustomFieldFactory(entity="lead", key="nick", type="text")
    for name in names:
        LeadFactory(first_name="x", last_name=name, custom_fields={"nick": name})
    right = ["apt", "Åre", "Ask", "Éclair", "eclipse", "łan", "Lana", "Öz", "zebra", "Zoë"]
    for column in ("last_name", "custom_fields.nick"):
        listed = admin.get(LEADS, {"ordering": column, "fields": "last_name"}).json()["results"]
        assert [row["last_name"] for row in listed] == right
        walked, url = [], f"{LEADS}?cursor=&page_size=3&ordering=-{column}&fields=last_name"
        while url:
            body = admin.get(url).json()
            walked, url = walked + [row["last_name"] for row in body["results"]], body["next"]
        assert walked == right[::-1]


# ---- By index ----


@pytest.fixture
def many(db):
    sql(
        "INSERT INTO lead_management_lead (first_name, last_name, company_name, city, phone)"
        " SELECT 'First' || n, 'Last' || n, 'Company ' || md5(n::text), 'City ' || n %% 50,"
        " '+1415' || (5550000 + n)"
        " FROM generate_series(1, 30000) n RETURNING 1"
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE lead_management_lead")


def plan_of(rows):
    return rows.explain(analyze=True)


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ("zq", "lead_word_starts"),
        ("zyxo", "lead_search"),
        ("(415) 558-9999", "lead_search"),
        ("415.558.9999", "lead_search"),
        ("Ångström", "lead_search"),
    ],
)
def test_a_search_is_answered_by_the_index(many, asked, index):
    plan = plan_of(search(LEAD, Lead.objects.order_by(), asked))
    assert f"Bitmap Index Scan on {index}" in plan, plan
    assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize(
    "parameters",
    [
        {"company_name__contains": "zyxo"},
        {"city": "Nowhere"},
        {"city__starts_with": "Now"},
        {"phone__contains": "558-9999"},
        {"conditions": '{"all": [{"city": "Nowhere"}]}'},
        {"conditions": '[{"field": "company_name", "op": "ends_with", "value": "ångström"}]'},
    ],
)
def test_a_filter_by_a_searched_column_is_answered_by_the_index(many, admin_user, parameters):
    plan = plan_of(list_query(LEAD, parameters, admin_user).rows.order_by())
    assert "Bitmap Index Scan on lead_search" in plan, plan
    assert "Seq Scan" not in plan, plan
