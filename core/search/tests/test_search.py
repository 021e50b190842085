"""Global search: what is found and in which order, by whom, and along which index."""

import pytest
from django.db import connection
from django.db.models import Func, Q, TextField, Value
from django.db.models.functions import Cast
from django.db.models.lookups import Exact
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from contacts.tests.factories import CompanyFactory, ContactFactory
from core.accounts.tests.factories import TeamFactory
from core.entities import entities
from core.search import finding as search_finding
from core.search.finding import find
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory, default_pipeline
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/search/"


def hits(client, q, **params):
    response = client.get(URL, {"q": q, **params})
    assert response.status_code == 200, response.json()
    return [(hit["type"], hit["title"], hit["match"]) for hit in response.json()["results"]]


@pytest.fixture
def engines():
    """A record of each entity that speaks of engines."""
    return [
        LeadFactory(first_name="Ada", last_name="Engine", email="ada@engines.example", phone="+442079460123"),
        ContactFactory(first_name="Zoé", last_name="Brückner", company_name="Engine Works"),
        CompanyFactory(name="Engine Works", external_id="EW-7"),
        OpportunityFactory(name="Second engine", pipeline=default_pipeline(), stage="prospecting"),
        TaskFactory(title="Oil the engine"),
    ]


def test_all_entities_are_searched_at_once(admin, engines):
    found = hits(admin, "engine")
    assert sorted(kind for kind, _, _ in found) == ["company", "contact", "lead", "opportunity", "task"]
    assert {match for _, _, match in found} == {"words"}


def test_a_hit_says_what_it_is_how_it_is_called_and_where(admin, engines):
    [hit] = admin.get(URL, {"q": "EW-7"}).json()["results"]
    assert hit == {
        "type": "company",
        "id": engines[2].pk,
        "title": "Engine Works",
        "url": f"http://testserver/api/v1/companies/{engines[2].pk}/",
        "match": "exact",
    }


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ADA@engines.example", "lead"),
        ("+44 20 7946 0123", "lead"),
        ("020 7946 0123", "lead"),
        ("EW-7", "company"),
    ],
)
def test_an_exact_address_number_or_external_id_comes_first(admin, engines, text, kind):
    ContactFactory(last_name="Other", email="not.ada@engines.example", phone="+442079460123999")
    found = hits(admin, text)
    assert (found[0][0], found[0][2]) == (kind, "exact")
    assert [match for _, _, match in found].count("exact") == 1


def test_an_id_is_found_in_every_entity(admin, engines):
    pk = engines[0].pk
    assert ("lead", "Ada Engine", "exact") in hits(admin, str(pk))


@pytest.mark.parametrize("text", ["BRUECKNER", "brückner", "zoe brückner", "Ｂｒｕckner"])  # noqa: RUF001
def test_accents_case_and_width_are_folded(admin, engines, text):
    expected = [] if text == "BRUECKNER" else [("contact", "Zoé Brückner", "words")]
    assert [hit for hit in hits(admin, text) if hit[2] == "words"] == expected


@pytest.mark.parametrize(
    "text",
    [
        *("Brukner", "Bruckmer Zoe", "Bruckneer", "Burckner", "rBuckner", "Brücknr", "Xruckner", "Bruckne_"),
        # Two slips, by their trigrams.
        *("Brucknner Zoey", "Buckne"),
    ],
)
def test_typing_errors_are_forgiven_where_nothing_else_is_found(admin, engines, text):
    assert hits(admin, text) == [("contact", "Zoé Brückner", "similar")]


def test_a_word_with_one_slip_comes_before_what_shares_more_trigrams(admin):
    LeadFactory(first_name="", last_name="Smith")
    LeadFactory(first_name="", last_name="Smihtson Smihts", archived_at=timezone.now())
    LeadFactory(first_name="", last_name="Smeared")
    assert hits(admin, "Smiht") == [("lead", "Smith", "similar")]


def test_what_is_alike_is_not_looked_for_for_long(admin, engines, monkeypatch):
    # Each row takes longer than all of it may.
    slow = Q(Exact(Cast(Func(Value(0.2), function="pg_sleep"), TextField()), Value("x")))
    monkeypatch.setattr(search_finding, "SIMILAR_MS", 50)
    for stage in ("_with_one_slip", "_with_trigrams"):
        monkeypatch.setattr(search_finding, stage, lambda words, text: slow)
    assert hits(admin, "Brukner") == []


def test_a_search_for_what_is_alike_leaves_the_settings_of_the_transaction(admin, engines):
    names = ("pg_trgm.word_similarity_threshold", "statement_timeout", "cpu_operator_cost")

    def settings():
        with connection.cursor() as cursor:
            cursor.execute("SELECT " + ", ".join(f"current_setting('{name}', true)" for name in names))
            return cursor.fetchone()

    before = settings()
    assert hits(admin, "Brukner") == [("contact", "Zoé Brückner", "similar")]
    assert hits(admin, "qqqqzzzz") == []
    assert settings() == before


def test_what_is_found_by_its_words_is_not_joined_by_what_is_like_them(admin):
    LeadFactory(first_name="Ann", last_name="Hopper")
    LeadFactory(first_name="Bob", last_name="Hoper")
    assert hits(admin, "hopper") == [("lead", "Ann Hopper", "words")]


@pytest.mark.parametrize("text", ["", " ", "qqqqzzzz", "100% sure", "a_b", "'; --", "(", "x" * 200])
def test_what_is_nowhere_is_not_found(admin, engines, text):
    assert hits(admin, text) == []


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"q": "x" * 201}, "q"),
        ({"q": "a\x00b"}, "q"),
        ({"q": "a", "type": "pipeline"}, "type"),
        ({"q": "a", "nonsense": "1"}, "nonsense"),
        ({"q": "a", "page": "x"}, "page"),
        ({"q": "a", "page": "99", "page_size": "50"}, "page"),
    ],
)
def test_bad_input_is_refused_by_name(admin, params, field):
    response = admin.get(URL, params)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, field)


def test_one_finds_what_one_sees(api, make_user, engines):
    rep = make_user("rep", team=TeamFactory())
    assert hits(api(rep), "engine") == hits(api(rep), "EW-7") == hits(api(rep), "Brukner") == []
    LeadFactory(first_name="Own", last_name="Engine", owner=rep)
    assert hits(api(rep), "engine") == [("lead", "Own Engine", "words")]


def test_archived_records_are_not_found(admin, engines):
    admin.delete(f"/api/v1/companies/{engines[2].pk}/")
    assert hits(admin, "EW-7") == []


def test_a_key_finds_what_its_scopes_let_it_read(api, admin_user, engines):
    key = (
        api(admin_user).post("/api/auth/api_keys/", {"name": "k", "scopes": ["companies:read"]}).json()["key"]
    )
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    assert hits(client, "engine") == [("company", "Engine Works", "words")]
    assert client.get(URL, {"q": "engine", "type": "lead"}).status_code == 403
    other = (
        api(admin_user).post("/api/auth/api_keys/", {"name": "k2", "scopes": ["teams:read"]}).json()["key"]
    )
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {other}")
    assert client.get(URL, {"q": "engine"}).status_code == 403


def test_pages_follow_each_other_and_types_can_be_named(admin, engines):
    first = admin.get(URL, {"q": "engine", "page_size": 3}).json()
    assert (first["count"], first["previous"]) == (None, None)
    second = admin.get(first["next"]).json()
    assert (second["count"], second["next"]) == (5, None)
    names = [hit["title"] for hit in first["results"] + second["results"]]
    assert len(set(names)) == len(names) == 5 or names.count("Engine Works") == 1
    assert [kind for kind, _, _ in hits(admin, "engine", type="lead,task")] == ["lead", "task"]


def test_it_takes_as_many_statements_however_much_there_is(admin, engines):
    def statements():
        with CaptureQueriesContext(connection) as captured:
            hits(admin, "engine")
        return len(captured)

    statements()
    before = statements()
    for _ in range(9):
        LeadFactory(last_name="Engine")
    assert (statements(), before) == (7 + len(entities), 7 + len(entities))


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("rare-engines", 1),
        ("ada@rare-engines.example", 2),
        ("rare-enginse", 2),
        ("rare-emgines", 3),
        ("raree-engiines", 4),
    ],
)
def test_every_stage_goes_along_the_trigram_index(admin_user, monkeypatch, text, stages):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO lead_management_lead (first_name, company_name)"
            " SELECT md5(n::text), 'Common Company' FROM generate_series(1, 20000) n"
        )
        # As a vacuum leaves it: no rows wait to be indexed.
        cursor.execute("SELECT gin_clean_pending_list('lead_search')")
        cursor.execute("ANALYZE lead_management_lead")
    LeadFactory(first_name="Ada", email="ada@rare-engines.example")
    # How long it takes is not what this is about.
    monkeypatch.setattr(search_finding, "SIMILAR_MS", 20_000)
    with CaptureQueriesContext(connection) as captured, connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
        found = find([entities["lead"]], admin_user, text, 10)
    assert len(found) == 1
    selects = [q["sql"] for q in captured if 'FROM "lead_management_lead"' in q["sql"]]
    assert len(selects) == stages
    for sql in selects:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL cpu_operator_cost = 0.025")
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "lead_search" in plan or ("external_id" in sql and "@" not in text), plan
        assert "Seq Scan" not in plan, plan
