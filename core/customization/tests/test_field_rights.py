"""Field rights: making them, and what they hide from a role and lock for it in the API of records."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from contacts.tests.factories import CompanyFactory, ContactFactory
from core.accounts import keys, sessions
from core.accounts.origin import Origin
from core.changes import audit_context
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory, FieldRightFactory, SavedViewFactory
from core.entities.field_rights import FieldRight, rights_of
from core.entities.models import CustomField
from lead_management.entity import LEAD
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/field_rights/"
LEADS = "/api/v1/leads/"
RIGHT = {"role": "rep", "entity": "lead", "field": "email", "access": "hidden"}


def errors(response, status=400):
    assert response.status_code == status, response.content
    return [(e["field"], e["code"]) for e in response.json()["errors"]]


def bearing(text):
    made = APIClient()
    made.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return made


@pytest.fixture
def someone(make_user):
    """A rep, and their client with a session of its own."""
    user = make_user("rep")
    user.client = bearing(sessions.begin(user, Origin("127.0.0.1", "test")).access)
    return user


@pytest.fixture
def with_key(someone):
    return bearing(keys.make(someone, "key", ["read"])[1])


@pytest.fixture
def lead(someone):
    CustomFieldFactory(key="secret", searchable=True)
    CustomFieldFactory(key="open", searchable=True)
    custom = {"secret": "canary", "open": "seen"}
    return LeadFactory(owner=someone, first_name="Ada", email="canary@example.com", custom_fields=custom)


@pytest.fixture
def hidden(lead):
    FieldRightFactory(field="email")
    FieldRightFactory(field="custom_fields.secret")


@pytest.fixture
def locked(lead):
    FieldRightFactory(field="email", access="read_only")
    FieldRightFactory(field="custom_fields.secret", access="read_only")


# ---- The rights themselves ----


def test_a_right_is_made_read_changed_and_deleted(admin, someone):
    made = admin.post(URL, RIGHT)
    assert made.status_code == 201
    pk = made.json()["id"]
    assert {name: made.json()[name] for name in RIGHT} == RIGHT
    assert admin.patch(f"{URL}{pk}/", {"access": "read_only"}).json()["access"] == "read_only"
    change = Change.objects.filter(entity="field_right", object_id=pk).latest("id")
    assert (change.source, change.changes) == ("api", {"access": ["hidden", "read_only"]})
    assert [row["field"] for row in someone.client.get(URL).json()["results"]] == ["email"]
    assert admin.delete(f"{URL}{pk}/").status_code == 204
    assert not FieldRight.objects.exists()


def test_one_reads_the_rights_of_ones_own_role_and_administrators_write(admin, someone, api, make_user):
    FieldRightFactory(field="phone")
    FieldRightFactory(role="viewer", field="email")
    assert [row["role"] for row in someone.client.get(URL).json()["results"]] == ["rep"]
    assert [row["role"] for row in admin.get(URL).json()["results"]] == ["rep", "viewer"]
    others = FieldRight.objects.get(role="viewer")
    assert someone.client.get(f"{URL}{others.pk}/").status_code == 404
    for client in (someone.client, api(make_user("manager")), api(make_user("viewer"))):
        assert client.post(URL, RIGHT).status_code == 403
        assert client.patch(f"{URL}{others.pk}/", {"access": "read_only"}).status_code == 403
        assert client.delete(f"{URL}{others.pk}/").status_code == 403
    assert FieldRight.objects.filter(access="hidden").count() == 2


@pytest.mark.parametrize(
    ("wrong", "issue"),
    [
        ({"role": "admin"}, ("role", "never_limited")),
        ({"role": "boss"}, ("role", "invalid_choice")),
        ({"entity": "ship"}, ("entity", "invalid_choice")),
        ({"field": "ship"}, ("field", "unknown_field")),
        ({"field": "custom_fields.ship"}, ("field", "unknown_field")),
        ({"field": "custom_fields"}, ("field", "not_limitable")),
        ({"field": "id"}, ("field", "not_limitable")),
        ({"field": "owner"}, ("field", "not_limitable")),
        ({"field": "assigned_to", "access": "read_only"}, ("field", "not_limitable")),
        ({"field": "first_name"}, ("field", "not_limitable")),
        ({"field": "lead_score"}, ("field", "not_limitable")),
        ({"field": "lead_score", "access": "read_only"}, ("field", "not_limitable")),
        ({"entity": "company", "field": "name", "access": "read_only"}, ("field", "not_limitable")),
        ({"access": "gone"}, ("access", "invalid_choice")),
    ],
)
def test_a_right_that_nobody_could_work_with_is_refused(admin, wrong, issue):
    assert errors(admin.post(URL, RIGHT | wrong)) == [issue]
    assert not FieldRight.objects.exists()


def test_a_required_field_may_be_limited_for_a_role_that_creates_nothing(admin):
    CustomFieldFactory(key="needed", required=True)
    needed = RIGHT | {"field": "custom_fields.needed"}
    assert errors(admin.post(URL, needed)) == [("field", "not_limitable")]
    assert admin.post(URL, needed | {"role": "viewer"}).status_code == 201


def test_a_second_right_of_a_field_is_a_conflict(admin):
    assert admin.post(URL, RIGHT).status_code == 201
    again = admin.post(URL, RIGHT | {"access": "read_only"})
    assert again.status_code in (400, 409)
    assert {e["code"] for e in again.json()["errors"]} == {"unique"}
    assert FieldRight.objects.get().access == "hidden"


def test_the_rights_of_a_custom_field_go_with_it(admin, hidden):
    definition = CustomField.objects.get(key="secret")
    assert admin.delete(f"/api/v1/custom_fields/{definition.pk}/").status_code == 204
    assert [right.field for right in FieldRight.objects.all()] == ["email"]


# ---- Hidden ----


def test_a_hidden_field_is_in_no_answer(someone, lead, hidden, admin):
    for response in (
        someone.client.get(LEADS),
        someone.client.get(f"{LEADS}{lead.pk}/"),
        someone.client.patch(f"{LEADS}{lead.pk}/", {"last_name": "Byron"}),
        someone.client.get(f"{LEADS}{lead.pk}/", {"fields": "id,custom_fields"}),
        someone.client.get(f"{LEADS}{lead.pk}/", {"expand": "owner"}),
    ):
        assert response.status_code == 200
        assert b"canary" not in response.content
        assert b"seen" in response.content
    shown = someone.client.get(f"{LEADS}{lead.pk}/").json()
    assert "email" not in shown
    assert shown["custom_fields"] == {"open": "seen"}
    assert admin.get(f"{LEADS}{lead.pk}/").json()["custom_fields"]["secret"] == "canary"


@pytest.mark.parametrize("field", ["email", "custom_fields.secret"])
def test_a_hidden_field_is_an_unknown_one(someone, lead, hidden, field):
    """The same codes as of a field that there never was."""
    never = "nothing" if field == "email" else "custom_fields.nothing"

    def asked(name):
        condition = f'{{"field": "{name}", "op": "eq", "value": "canary@example.com"}}'
        body = {"custom_fields": {name.partition(".")[2]: "x"}} if "." in name else {name: "x"}
        found = [
            someone.client.get(LEADS, {name: "canary"}),
            someone.client.get(LEADS, {f"{name}__contains": "canary"}),
            someone.client.get(LEADS, {"conditions": condition}),
            someone.client.get(LEADS, {"ordering": f"-{name}"}),
            someone.client.get(LEADS, {"fields": f"id,{name}"}),
            someone.client.get(f"{LEADS}{lead.pk}/history/", {"field": name}),
            someone.client.get(f"{LEADS}statistics/", {"group_by": name}),
            someone.client.get(f"{LEADS}statistics/", {"metrics": f"sum_{name}"}),
            someone.client.post(LEADS, {"first_name": "Eve", **body}),
            someone.client.patch(f"{LEADS}{lead.pk}/", body),
            someone.client.post(f"{LEADS}bulk_update/", {"action": "update", "ids": [lead.pk], "data": body}),
            someone.client.post("/api/v1/saved_views/", {"entity": "lead", "name": name, "fields": [name]}),
        ]
        known = {"email", "secret"}
        for response in found:
            assert not known & set(response.json()["detail"].replace(",", " ").split()), response.content
        return [[code for _, code in errors(response)] for response in found]

    assert asked(field) == asked(never)


def test_fields_behind_a_reference_are_hidden_as_well(someone):
    company = CompanyFactory(owner=someone, industry="canary")
    OpportunityFactory(owner=someone, company=company)
    ContactFactory(owner=someone, company=company)
    FieldRightFactory(entity="company", field="industry")
    for plural in ("opportunities", "contacts"):
        url = f"/api/v1/{plural}/"
        issue = ("company__industry", "unknown")
        assert errors(someone.client.get(url, {"company__industry": "canary"})) == [issue]
        condition = '{"company.industry": "canary"}'
        assert [code for _, code in errors(someone.client.get(url, {"conditions": condition}))] == [
            "unknown_field"
        ]
        assert someone.client.get(url, {"company__country": ""}).status_code in (200, 400)
    statistics = someone.client.get("/api/v1/companies/statistics/").json()
    assert "by_industry" not in statistics
    assert statistics["by_country"] == {}


def test_a_hit_in_a_hidden_field_alone_is_none(someone, lead, hidden, admin):
    for word in ("canary", "canary@example.com", "canaryy"):
        assert someone.client.get(LEADS, {"search": word}).json()["results"] == []
        assert someone.client.get("/api/v1/search/", {"q": word}).json()["results"] == []
        assert [hit["id"] for hit in admin.get("/api/v1/search/", {"q": word}).json()["results"]] == [lead.pk]
    for word in ("ada", "seen"):
        assert len(someone.client.get(LEADS, {"search": word}).json()["results"]) == 1
    assert len(someone.client.get("/api/v1/search/", {"q": "ada"}).json()["results"]) == 1


def test_a_hidden_phone_number_is_not_found_by_its_digits(someone):
    LeadFactory(owner=someone, phone="+4930123456", mobile="+4915112345678")
    assert len(someone.client.get(LEADS, {"search": "030 123456"}).json()["results"]) == 1
    FieldRightFactory(field="phone")
    assert someone.client.get(LEADS, {"search": "030 123456"}).json()["results"] == []
    assert len(someone.client.get(LEADS, {"search": "0151 12345678"}).json()["results"]) == 1


def test_a_record_is_not_called_by_a_hidden_field(someone):
    lead = LeadFactory(owner=someone, first_name="", last_name="", email="canary@example.com")
    FieldRightFactory(field="email")
    opened = someone.client.get("/api/v1/search/", {"q": str(lead.pk), "type": "lead"}).json()["results"]
    assert [hit["title"] for hit in opened] == [f"lead {lead.pk}"]


def test_what_is_hidden_stays_when_the_record_is_replaced(someone, lead, hidden):
    body = {"first_name": "Eve", "custom_fields": {"open": "new"}}
    assert someone.client.put(f"{LEADS}{lead.pk}/", body).status_code == 200
    lead.refresh_from_db()
    assert (lead.first_name, lead.email) == ("Eve", "canary@example.com")
    assert lead.custom_fields == {"secret": "canary", "open": "new"}


def test_creation_takes_the_default_of_what_is_hidden(someone):
    CustomFieldFactory(key="tier", default="basic")
    FieldRightFactory(field="custom_fields.tier")
    FieldRightFactory(field="call_attempts")
    made = someone.client.post(LEADS, {"first_name": "Ada"})
    assert made.status_code == 201
    assert made.json()["custom_fields"] == {}
    stored = Lead.objects.get(pk=made.json()["id"])
    assert (stored.custom_fields, stored.call_attempts) == ({"tier": "basic"}, 0)


def test_history_and_feed_leave_hidden_values_out(someone, lead, hidden, admin_user):
    with audit_context(admin_user, source="api"):
        Lead.objects.filter(pk=lead.pk).update(email="canary2@example.com")
        Lead.objects.filter(pk=lead.pk).update(custom_fields={"secret": "canary2", "open": "seen"})
        Lead.objects.filter(pk=lead.pk).update(
            last_name="Byron", custom_fields={"secret": "canary3", "open": "told"}
        )
    for address in (f"{LEADS}{lead.pk}/history/", f"{LEADS}{lead.pk}/timeline/"):
        response = someone.client.get(address)
        assert response.status_code == 200
        assert b"canary" not in response.content
        assert b"told" in response.content
    history = someone.client.get(f"{LEADS}{lead.pk}/history/").json()["results"]
    assert [row["changes"] for row in history if row["kind"] == "updated"] == [
        {
            "last_name": {"old": "", "new": "Byron"},
            "custom_fields": {"old": {"open": "seen"}, "new": {"open": "told"}},
        },
        {},
        {},
    ]


def test_a_new_record_is_not_compared_by_what_is_hidden(someone):
    twins = [LeadFactory(owner=someone, mobile=number) for number in ("+14155552671", "+14155552672")]

    def twins_of(phone):
        made = someone.client.post(LEADS, {"first_name": "Ada", "phone": phone})
        return [one["id"] for one in made.json()["possible_duplicates"]]

    assert twins_of("+14155552671") == [twins[0].pk]
    FieldRightFactory(field="mobile")
    assert twins_of("+14155552672") == []
    FieldRightFactory(entity="contact", field="additional_emails")
    assert errors(someone.client.get("/api/v1/contacts/", {"any_email": "ada@example.com"})) == [
        ("any_email", "unknown")
    ]


def test_a_shared_view_shows_what_its_reader_may_see(someone, lead, hidden, admin_user):
    view = SavedViewFactory(owner=admin_user, is_shared=True, fields=["id", "email", "custom_fields.secret"])
    assert someone.client.get(LEADS, {"view": view.pk}).json()["results"] == [{"id": lead.pk}]
    view = SavedViewFactory(owner=admin_user, is_shared=True, conditions={"email": "canary@example.com"})
    assert [code for _, code in errors(someone.client.get(LEADS, {"view": view.pk}))] == ["unknown_field"]


# ---- Read-only ----


def test_a_read_only_field_is_seen_and_not_changed(someone, lead, locked):
    for body, field in (
        ({"email": "new@example.com"}, "email"),
        ({"email": ""}, "email"),
        ({"custom_fields": {"secret": "new"}}, "custom_fields.secret"),
        ({"custom_fields": {"secret": None}}, "custom_fields.secret"),
    ):
        answered = someone.client.patch(f"{LEADS}{lead.pk}/", body | {"last_name": "Byron"})
        assert errors(answered) == [(field, "read_only")]
        answered = someone.client.post(LEADS, {"first_name": "Eve"} | {"email": "new@example.com"})
        assert errors(answered) == [("email", "read_only")]
        many = {"action": "update", "ids": [lead.pk], "data": body}
        assert errors(someone.client.post(f"{LEADS}bulk_update/", many)) == [(f"data.{field}", "read_only")]
    items = {"items": [{"first_name": "Eve", "email": "new@example.com"}]}
    written = someone.client.post(f"{LEADS}bulk_create/", items).json()
    assert (written["created"], written["failed"]) == (0, 1)
    stored = Lead.objects.get()
    assert (stored.last_name, stored.email, stored.custom_fields["secret"]) == (
        lead.last_name,
        "canary@example.com",
        "canary",
    )


def test_a_record_is_sent_back_as_it_was_read(someone, lead, locked):
    shown = someone.client.get(f"{LEADS}{lead.pk}/").json()
    assert shown["email"] == "canary@example.com"
    answered = someone.client.put(f"{LEADS}{lead.pk}/", shown | {"last_name": "Byron"})
    assert answered.status_code == 200, answered.content
    lead.refresh_from_db()
    assert (lead.last_name, lead.email) == ("Byron", "canary@example.com")
    assert someone.client.put(f"{LEADS}{lead.pk}/", {"first_name": "Eve"}).status_code == 200
    lead.refresh_from_db()
    assert (lead.email, lead.custom_fields) == ("canary@example.com", {"secret": "canary"})


# ---- Whom they limit, and what they cost ----


def test_administrators_and_superusers_are_not_limited(make_user, hidden):
    assert LEAD.for_user(make_user("admin")) is LEAD
    assert LEAD.for_user(make_user("rep", is_superuser=True)) is LEAD
    assert LEAD.for_user(None) is LEAD
    assert LEAD.for_user(make_user("viewer")) is LEAD
    assert "email" not in LEAD.for_user(make_user("rep")).by_name


def test_a_right_counts_from_the_next_request_on(someone, lead):
    def email():
        return someone.client.get(f"{LEADS}{lead.pk}/").json().get("email")

    assert email() == "canary@example.com"
    right = FieldRightFactory(field="email")
    assert email() is None
    right.delete()
    assert email() == "canary@example.com"


def test_rights_cost_no_statement_of_their_own(someone, with_key, lead):
    def statements(client):
        with CaptureQueriesContext(connection) as seen:
            assert client.get(LEADS).status_code == 200
        return len(seen)

    clients = (someone.client, with_key)
    before = [(statements(client), statements(client))[1] for client in clients]
    FieldRightFactory(field="email")
    assert [statements(client) for client in clients] == before


def test_a_key_is_limited_as_its_user_is(lead, hidden, with_key):
    shown = with_key.get(LEADS)
    assert shown.json()["results"][0]["id"] == lead.pk
    assert b"canary" not in shown.content


def test_a_user_read_in_another_way_has_the_same_rights(someone, hidden):
    found = type(someone).objects.get(pk=someone.pk)
    assert rights_of(found).hidden_in("lead") == {"email", "custom_fields.secret"}
