"""Rules about duplicates: what one may be, and what each door does with a new record."""

from functools import partial
from threading import Event
from time import monotonic

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from contacts.models import Company, Contact
from contacts.tests.factories import CompanyFactory, ContactFactory
from core.accounts import keys
from core.changes import audit_context
from core.changes.dispatch import dispatch
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory
from core.duplicates.tests.factories import DuplicateRuleFactory
from core.entities import entities
from core.entities.comparisons import ComparedRecords, Question, SameCustomValue, matches
from core.entities.duplicate_rules import findings
from core.entities.locks import DUPLICATE_RULE, lock
from core.entities.models import DuplicateRule
from core.workflows import engine
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/duplicate_rules/"
LEADS = "/api/v1/leads/"
RULE = {"name": "Same address", "entity": "lead", "compare": "email"}


def codes(response):
    return {issue["field"]: issue["code"] for issue in response.json()["errors"]}


# -- rules as records ---------------------------------------------------------------------------------


def test_an_administrator_writes_a_rule_which_everyone_reads(admin, api, rep):
    made = admin.post(URL, RULE)
    assert made.status_code == 201, made.json()
    found = made.json()
    shown = {name: found[name] for name in ("match", "threshold", "across", "on_create", "is_active")}
    assert shown == {
        "match": "exact", "threshold": 0.6, "across": "", "on_create": "warn", "is_active": True
    }  # fmt: skip
    assert api(rep).get(URL, {"entity": "lead"}).json()["results"] == [found]
    changed = admin.patch(f"{URL}{found['id']}/", {"on_create": "refuse"})
    assert changed.json()["on_create"] == "refuse"
    kinds = Change.objects.filter(entity="duplicate_rule").values_list("kind", "source")
    assert list(kinds.order_by("id")) == [("created", "api"), ("updated", "api")]
    assert admin.delete(f"{URL}{found['id']}/").status_code == 204
    assert not DuplicateRule.objects.exists()


@pytest.mark.parametrize("role", ["manager", "rep", "viewer"])
def test_nobody_else_writes_rules(api, make_user, role):
    rule, client = DuplicateRuleFactory(), api(make_user(role))
    assert client.post(URL, RULE).status_code == 403
    assert client.patch(f"{URL}{rule.pk}/", {"is_active": False}).status_code == 403
    assert client.delete(f"{URL}{rule.pk}/").status_code == 403
    assert list(DuplicateRule.objects.values_list("name", "is_active")) == [(rule.name, True)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"entity": "task"}, "entity"),
        ({"entity": "nonsense"}, "entity"),
        ({"compare": "domain"}, "compare"),
        ({"compare": "custom_fields.nonsense"}, "compare"),
        ({"compare": "custom_fields.flag"}, "compare"),
        ({"match": "fuzzy"}, "match"),
        ({"match": "nearly"}, "match"),
        ({"compare": "name_company", "match": "fuzzy", "threshold": 0.1}, "threshold"),
        ({"compare": "name_company", "match": "fuzzy", "threshold": 1.1}, "threshold"),
        ({"compare": "name_company", "match": "fuzzy", "threshold": "NaN"}, "threshold"),
        ({"across": "lead"}, "across"),
        ({"across": "task"}, "across"),
        ({"compare": "name_company", "across": "company"}, "across"),
        ({"on_create": "delete"}, "on_create"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_what_is_no_rule_is_refused(admin, change, field):
    CustomFieldFactory(entity="lead", key="flag", type="boolean")
    answer = admin.post(URL, RULE | change)
    assert answer.status_code == 400, answer.json()
    assert list(codes(answer)) == [field]
    assert not DuplicateRule.objects.exists()


def test_two_rules_do_not_bear_one_name(admin):
    assert admin.post(URL, RULE).status_code == 201
    again = admin.post(URL, RULE)
    assert (again.status_code, codes(again)) == (409, {"name": "unique"})
    with pytest.raises(IntegrityError), transaction.atomic():
        DuplicateRuleFactory(name=RULE["name"])


def test_a_custom_field_that_a_rule_compares_is_in_use(admin):
    field = CustomFieldFactory(entity="lead", key="vat")
    rule = DuplicateRuleFactory(compare="custom_fields.vat")
    url = f"/api/v1/custom_fields/{field.pk}/"
    refused = admin.delete(url)
    assert (refused.status_code, codes(refused)) == (409, {f"duplicate_rule {rule.pk}": "in_use"})
    assert admin.delete(f"{url}?force=true").status_code == 204
    rule.refresh_from_db()
    assert rule.is_active is False


# -- what the API does with a new record --------------------------------------------------------------


def test_a_rule_refuses_and_names_whom_the_user_sees(api, rep):
    rule = DuplicateRuleFactory()
    known = LeadFactory(first_name="Ada", last_name="Byron", email="ada@x.example", owner=rep)
    refused = api(rep).post(LEADS, {"first_name": "A.", "email": "ADA@x.example"})
    message = f"{rule.name}: possible duplicate of lead Ada Byron ({known.pk})."
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/possible-duplicate")
    assert refused.json()["errors"] == [{"field": "email", "code": "possible_duplicate", "message": message}]
    assert Lead.objects.count() == 1
    assert api(rep).post(LEADS, {"first_name": "A.", "email": "other@x.example"}).status_code == 201


def test_what_the_user_does_not_see_is_not_named(api, rep, make_user):
    rule = DuplicateRuleFactory()
    LeadFactory(first_name="Secret", email="ada@x.example", owner=make_user("rep"))
    refused = api(rep).post(LEADS, {"first_name": "A.", "email": "ada@x.example"})
    assert refused.status_code == 409
    assert refused.json()["detail"] == f"{rule.name}: someone else has this."
    LeadFactory(first_name="Own", last_name="Lead", email="ada@x.example", owner=rep)
    both = api(rep).post(LEADS, {"first_name": "A.", "email": "ada@x.example"}).json()["detail"]
    assert "lead Own Lead (" in both
    assert both.endswith("; someone else has this as well.")
    assert "Secret" not in both
    assert Lead.objects.count() == 2


def test_a_key_that_may_not_read_the_other_entity_gets_no_names(api, rep):
    rule = DuplicateRuleFactory(across="contact", on_create="warn")
    ContactFactory(first_name="Ada", last_name="Byron", email="ada@x.example", owner=rep)
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {keys.make(rep, 'test', ['leads:write'])[1]}")
    made = client.post(LEADS, {"first_name": "A.", "email": "ada@x.example"})
    assert made.status_code == 201, made.json()
    assert [w["message"] for w in made.json()["warnings"]] == [f"{rule.name}: someone else has this."]


def test_a_rule_warns_and_the_record_is_created(api, rep):
    rule = DuplicateRuleFactory(on_create="warn", compare="name_company")
    known = LeadFactory(first_name="José", last_name="Núñez", company_name="Acme", owner=rep)
    made = api(rep).post(LEADS, {"first_name": "JOSE", "last_name": "NUNEZ", "company_name": "acme"})
    assert made.status_code == 201
    assert made.json()["warnings"] == [
        {
            "field": "first_name",
            "code": "possible_duplicate",
            "message": f"{rule.name}: possible duplicate of lead José Núñez ({known.pk}).",
        }
    ]
    assert made.json()["possible_duplicates"] == [{"id": known.pk, "name": "José Núñez"}]
    again = api(rep).post(
        f"{LEADS}?on_duplicate=reject",
        {"first_name": "Jose", "last_name": "Nunez", "company_name": "Acme"},
    )
    assert again.status_code == 409
    assert Lead.objects.count() == 2


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"address": "12 RUE DE L'EGLISE", "postal_code": "75001"}, 409),
        ({"address": "12 Rue de l'Église", "postal_code": "69001"}, 201),
        ({"address": "12 Rue de l'Église"}, 201),
        ({"postal_code": "75001"}, 201),
    ],
)
@pytest.mark.parametrize("across", ["", "contact", "company"])
def test_addresses_are_the_same_by_street_and_postal_code(admin, across, sent, status):
    DuplicateRuleFactory(compare="address", across=across, on_create="refuse")
    make = {"": LeadFactory, "contact": ContactFactory, "company": CompanyFactory}[across]
    make(address="12 Rue de l'Église", postal_code="75001", city="Paris")
    assert admin.post(LEADS, {"last_name": "Blanc", **sent}).status_code == status


def test_a_rule_that_allows_only_names_and_one_that_rests_does_nothing(api, rep):
    rule = DuplicateRuleFactory(on_create="allow", compare="name_company")
    known = LeadFactory(first_name="Ada", last_name="Byron", company_name="Acme", owner=rep)
    body = {"first_name": "Ada", "last_name": "Byron", "company_name": "Acme"}
    made = api(rep).post(LEADS, body).json()
    assert "warnings" not in made
    assert [twin["id"] for twin in made["possible_duplicates"]] == [known.pk]
    rule.is_active = False
    rule.save()
    assert api(rep).post(LEADS, body).json()["possible_duplicates"] == []


PHONES = [
    ("+14155552671", "(415) 555-2671", True),
    ("+14155552671", "1 415 555 2671", True),
    ("(415) 555-2671", "+1 415 555 2671", True),
    ("+442079460001", "020 7946 0001", True),
    ("+390612345678", "06 12345678", True),
    ("+14155552671", "555-2671", False),
    ("+14155552671", "+444155552671", False),
    ("+14155552671", "(212) 555-2671", False),
    ("+14155552671", "(415) 555-2671 ext. 5", False),
    ("+14155552671;ext=5", "(415) 555-2671 x5", True),
    ("Fax +1 415 555 2671", "(415) 555-2671", False),
    ("Fax 4155552671", "(415) 555-2671", True),
    ("Fax 4155552671", "Fax 4155552672", False),
    ("112", "112", True),
    ("112", "1120", False),
]


@pytest.mark.parametrize(("stored", "given", "same"), PHONES)
def test_a_number_without_its_country_is_the_same_as_with_it(api, rep, settings, stored, given, same):
    settings.CRM = {"DEFAULT_PHONE_REGION": ""}
    known = LeadFactory(mobile=stored, owner=rep)
    found = api(rep).post(LEADS, {"first_name": "A.", "phone": given}).json()["possible_duplicates"]
    assert [twin["id"] for twin in found] == ([known.pk] if same else [])
    refused = api(rep).post(f"{LEADS}?on_duplicate=reject", {"first_name": "A.", "phone": given})
    assert refused.status_code == 409  # the one made before has the number too
    DuplicateRuleFactory(compare="phone")
    assert api(rep).post(LEADS, {"first_name": "B.", "phone": given}).status_code == 409


def test_numbers_with_other_extensions_have_other_keys():
    numbers = [f"+14155552671{more}" for more in ("", ";ext=1", " x2", " #3")]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT crm_phone_key(n), crm_phone_keys(ARRAY[n]) FROM unnest(%s::text[]) AS n", [numbers]
        )
        keys_of_numbers = ["5552671x", "5552671x1", "5552671x2", "5552671x3"]
        assert cursor.fetchall() == [(key, [key]) for key in keys_of_numbers]
    phone = next(c for c in entities["contact"].duplicates if c.name == "phone")
    # Without a digit that the database reads all would have one key.
    for number in ("none", "000", "٠١٢٣٤٥٦٧"):
        assert phone.keys({"phone": number}) == set()


def test_further_numbers_and_addresses_of_a_contact_count(api, rep):
    DuplicateRuleFactory(entity="contact", compare="phone")
    DuplicateRuleFactory(entity="contact", compare="email")
    ContactFactory(additional_phones=["+14155552671"], additional_emails=["a@x.example"], owner=rep)
    for twin in (
        {"mobile": "(415) 555-2671"},
        {"email": "b@x.example", "additional_emails": ["A@x.example"]},
    ):
        assert api(rep).post("/api/v1/contacts/", {"first_name": "A."} | twin).status_code == 409
    assert Contact.objects.count() == 1


def test_names_that_are_alike_are_found(api, rep):
    DuplicateRuleFactory(entity="company", compare="name", match="fuzzy", threshold=0.5)
    CompanyFactory(name="Analytical Engines Limited", owner=rep)
    post = api(rep).post
    assert post("/api/v1/companies/", {"name": "Analitical Engines Ltd"}).status_code == 409
    assert post("/api/v1/companies/", {"name": "Difference Machines"}).status_code == 201
    assert Company.objects.count() == 2


def test_fuzzy_names_take_their_company_along(api, rep):
    DuplicateRuleFactory(compare="name_company", match="fuzzy", threshold=0.5)
    LeadFactory(first_name="Katherine", last_name="Johnson", company_name="Langley Labs", owner=rep)
    person = {"first_name": "Katharine", "last_name": "Johnson"}
    assert api(rep).post(LEADS, person | {"company_name": "Langley Lab"}).status_code == 409
    assert api(rep).post(LEADS, person | {"company_name": "Acme"}).status_code == 201
    assert api(rep).post(LEADS, person).status_code == 201


def test_a_custom_field_is_compared(api, rep):
    CustomFieldFactory(entity="lead", key="vat")
    rule = DuplicateRuleFactory(compare="custom_fields.vat")
    LeadFactory(custom_fields={"vat": "GB1"}, owner=rep)
    refused = api(rep).post(LEADS, {"first_name": "A.", "custom_fields": {"vat": "GB1"}})
    assert (refused.status_code, codes(refused)) == (409, {rule.compare: "possible_duplicate"})
    for custom in ({"vat": "GB2"}, {"vat": ""}, {}):
        assert api(rep).post(LEADS, {"first_name": "A.", "custom_fields": custom}).status_code == 201


def test_leads_and_contacts_are_compared_in_both_directions(api, rep):
    DuplicateRuleFactory(across="contact")
    lead = LeadFactory(first_name="Ada", last_name="L", email="lead@x.example", owner=rep)
    contact = ContactFactory(first_name="Ada", last_name="C", email="c@x.example", owner=rep)
    refused = api(rep).post(LEADS, {"first_name": "A.", "email": "c@x.example"})
    assert f"contact Ada C ({contact.pk})" in refused.json()["detail"]
    refused = api(rep).post("/api/v1/contacts/", {"first_name": "A.", "email": "lead@x.example"})
    assert f"lead Ada L ({lead.pk})" in refused.json()["detail"]
    # The rule is one about leads: contacts are not compared with each other.
    assert api(rep).post("/api/v1/contacts/", {"first_name": "A.", "email": "c@x.example"}).status_code == 201


def test_archived_records_are_nobodys_duplicates(api, rep):
    DuplicateRuleFactory()
    LeadFactory(email="ada@x.example", owner=rep, archived_at=timezone.now())
    assert api(rep).post(LEADS, {"first_name": "A.", "email": "ada@x.example"}).status_code == 201


def test_a_lead_becomes_a_contact_though_the_two_are_compared(api, rep):
    DuplicateRuleFactory(across="contact")
    lead = LeadFactory(email="ada@x.example", owner=rep)
    twin = LeadFactory(email="bob@x.example", owner=rep)
    LeadFactory(email="bob@x.example", owner=rep)
    assert api(rep).post(f"{LEADS}{lead.pk}/convert/", {}).status_code in (200, 201)
    refused = api(rep).post(f"{LEADS}{twin.pk}/convert/", {})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/possible-duplicate")
    assert Contact.objects.count() == 1


# -- the other doors ----------------------------------------------------------------------------------


def test_bulk_creation_and_upserts_go_by_the_rules(api, rep):
    DuplicateRuleFactory()
    warning = DuplicateRuleFactory(compare="phone", on_create="warn")
    known = LeadFactory(
        first_name="Ada", last_name="Byron", email="a@x.example", phone="+14155552671", owner=rep
    )
    items = [
        {"first_name": "A", "email": "a@x.example"},
        {"first_name": "B", "email": "b@x.example", "phone": "(415) 555-2671"},
        {"first_name": "C", "email": "b@x.example"},
    ]
    answer = api(rep).post(f"{LEADS}bulk_create/", {"items": items}).json()
    assert [(r["status"], r.get("code")) for r in answer["results"]] == [
        ("error", "possible_duplicate"), ("created", None), ("error", "possible_duplicate"),
    ]  # fmt: skip
    message = f"{warning.name}: possible duplicate of lead Ada Byron ({known.pk})."
    assert answer["results"][1]["warnings"] == [
        {"field": "phone", "code": "possible_duplicate", "message": message}
    ]
    whole = api(rep).post(f"{LEADS}bulk_create/", {"items": items, "mode": "atomic"})
    assert whole.status_code == 400
    refused = api(rep).put(f"{LEADS}by_external_id/E1/", {"first_name": "A", "email": "a@x.example"})
    assert refused.status_code == 409
    upserted = api(rep).post(
        f"{LEADS}bulk_upsert/", {"items": [items[0] | {"external_id": "E2"}]}
    ).json()["results"]  # fmt: skip
    assert [(r["status"], r["code"]) for r in upserted] == [("error", "possible_duplicate")]
    assert Lead.objects.count() == 2


def test_a_workflow_creates_no_record_that_a_rule_refuses(make_lead, make_workflow, settle):
    rule = DuplicateRuleFactory(across="contact")
    fields = {"first_name": "Copy", "email": "{{ lead.email }}"}
    make_workflow([("create_record", {"model": "contact", "fields": fields})])
    make_lead()
    [run] = settle()
    assert (run.status, run.error_code) == ("failed", "possible_duplicate")
    assert run.error.startswith(f"{rule.name}: possible duplicate of lead Grace Hopper (")
    assert not Contact.objects.exists()
    DuplicateRule.objects.update(on_create="warn")
    make_lead()
    run = settle()[-1]
    assert run.status == "completed"
    [warning] = run.steps.get().output["warnings"]
    assert warning.startswith(f"{rule.name}: possible duplicate of lead Grace Hopper (")


@pytest.mark.django_db(transaction=True)
def test_two_records_created_at_once_do_not_pass_each_other(at_once, api, rep):
    DuplicateRuleFactory()

    def create():
        return api(rep).post(LEADS, {"first_name": "A", "email": "a@x.example"}).status_code

    assert sorted(at_once(create, create)) == [201, 409]


def _convert(api, admin_user, lead, make_workflow):
    answer = api(admin_user).post(f"{LEADS}{lead.pk}/convert/", {"create_opportunity": False})
    return answer.status_code == 200 or answer.json()


def _run(api, admin_user, lead, make_workflow):
    fields = {"first_name": "Copy", "email": "copy@x.example"}
    actions = [("add_tag", {"tag": "seen"}), ("create_record", {"model": "contact", "fields": fields})]
    make_workflow(actions)
    api(admin_user).patch(f"{LEADS}{lead.pk}/", {"city": "Rome"})
    dispatch()
    engine.run_due()
    return Lead.objects.get(pk=lead.pk).tags == ["seen"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("create", [_convert, _run])
def test_a_rule_is_waited_for_before_a_record_is_locked(at_once, api, admin_user, make_workflow, create):
    """Whoever holds the rule, as a bulk upsert does, may lock the record that the other one is about."""
    rule = DuplicateRuleFactory(across="contact")
    lead = LeadFactory(email="a@x.example")
    if create is _run:
        make_workflow = partial(make_workflow, trigger="record_updated")
    held = Event()

    def upsert():
        with transaction.atomic(), connection.cursor() as cursor:
            lock(DUPLICATE_RULE, str(rule.pk))
            held.set()
            waited = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
            until = monotonic() + 10
            while monotonic() < until:
                cursor.execute(waited)
                if cursor.fetchone()[0]:
                    break
            cursor.execute("SELECT 1 FROM lead_management_lead WHERE id = %s FOR UPDATE NOWAIT", [lead.pk])
            return cursor.fetchone() == (1,)

    def other():
        held.wait(20)
        return create(api, admin_user, lead, make_workflow)

    assert at_once(upsert, other) == [True, True]
    assert Lead.objects.count() == 1


def test_many_records_take_the_locks_of_the_rules_before_those_of_rows(api, rep):
    DuplicateRuleFactory()
    LeadFactory(external_id="E1", owner=rep)
    items = [{"external_id": f"E{n}", "first_name": "A"} for n in (1, 2)]
    with CaptureQueriesContext(connection) as captured:
        answer = api(rep).post(f"{LEADS}bulk_upsert/", {"items": items}).json()
    assert [result["status"] for result in answer["results"]] == ["updated", "created"]
    statements = [query["sql"] for query in captured]
    first = next(n for n, sql in enumerate(statements) if f"advisory_xact_lock({DUPLICATE_RULE}," in sql)
    locked = next(n for n, sql in enumerate(statements) if "FOR UPDATE" in sql and "lead" in sql)
    assert first < locked


# -- how it is found ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lead", "contact", "company"])
def test_looking_for_duplicates_reads_no_whole_table(name, django_assert_num_queries):
    entity = entities[name]
    table = entity.model._meta.db_table
    values = {
        "first_name": "Ada", "last_name": "Byron", "company_name": "Acme", "name": "Acme",
        "email": "a@x.example", "phone": "+14155552671", "domain": "x.example",
        "address": "1 High Street", "postal_code": "12345",
    }  # fmt: skip
    questions = [Question(c, c, entity.model) for c in entity.duplicates]
    questions += [Question(c, c, entity.model, 0.6) for c in entity.duplicates if c.may_be_fuzzy]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    with django_assert_num_queries(1) as captured:
        assert matches(questions, ComparedRecords([values, values])) == []
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {captured[0]['sql']}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert f"Seq Scan on {table}" not in plan, plan


def test_rules_are_asked_of_an_import_by_the_chunk(admin_user, django_assert_num_queries):
    rules = [
        DuplicateRuleFactory(across="contact"),
        DuplicateRuleFactory(compare="phone", on_create="warn"),
    ]
    LeadFactory(email="a@x.example")
    records = [{"email": "a@x.example", "phone": f"+1415555{n:04d}"} for n in range(50)]
    with audit_context(admin_user, source="api"), django_assert_num_queries(2):
        found = findings(entities["lead"], rules, ComparedRecords(records), admin_user)
    assert [len(some) for some in found] == [1] * 50


# Enough for a whole table to cost more than an index.
ROWS = 5_000
FILLED = {
    "first_name": "'First ' || n", "last_name": "'Last ' || n", "company_name": "'Company ' || n",
    "name": "'Company ' || n", "email": "'p' || n || '@x.example'", "domain": "'d' || n || '.example'",
    "phone": "'+1415' || lpad(n::text, 7, '0')", "custom_fields": "jsonb_build_object('tax', 'T' || n)",
    "address": "n || ' High Street'", "postal_code": "'12345'",
}  # fmt: skip


@pytest.mark.parametrize("count", [1, 500])
@pytest.mark.parametrize("name", ["lead", "contact", "company"])
def test_each_key_has_an_index_that_a_full_table_is_asked_by(name, count):
    """For one record about to be created, and for many that are compared in the background."""
    entity = entities[name]
    table, known = entity.model._meta.db_table, {f.column for f in entity.model._meta.concrete_fields}
    columns = {column: sql for column, sql in FILLED.items() if column in known}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())}"  # noqa: S608
            " FROM generate_series(1, %s) AS n",
            [ROWS],
        )
        cursor.execute(f"ANALYZE {table}")
    asked = list(entity.model.objects.order_by("pk").values("id", *columns)[:count])
    custom = SameCustomValue("custom_fields.tax", "tax", ("tax",), always=False)
    others = count > 1
    for comparison in (*entity.duplicates, custom):
        question = Question(comparison, comparison, entity.model, others=others)
        with CaptureQueriesContext(connection) as captured:
            found = matches(
                [question], ComparedRecords(asked, [row["id"] for row in asked] if others else [])
            )
        assert bool(found) is not others
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {captured[0]['sql']}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert f"Seq Scan on {table}" not in plan, (comparison.name, plan)
