"""Export → import with update changes nothing, whatever the records hold."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import xlsxwriter
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from contacts.tests.factories import ContactFactory
from core.changes import audit_context
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory
from core.entities import entities, field_types, writing
from core.errors import DomainError
from core.transfer.tests.uploads import upload
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.models import Opportunity

pytestmark = pytest.mark.django_db

NASTY = [
    "=1+1",
    "'=1",
    "''",
    "+4930",
    "-",
    "@x",
    "\uff1dSUM",
    "a;b",
    'a"b',
    "[x",
    "1,5",
    "N/A",
    "null",
    "Ω\u2028ß",
    "\tx",
]
LINE = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30),
)
PROSE = st.one_of(LINE, st.sampled_from(["two\nlines", "two\r\nlines", "\rx", " padded ", "=\n"]))
MOMENT = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def values_of_kind(kind: field_types.FieldType) -> st.SearchStrategy[Any] | None:
    """What the API might be sent for a column of this kind; None for what needs other records."""
    if isinstance(kind, field_types.Choice):
        return st.sampled_from([choice for choice in kind.choices if choice != "lost"])
    if isinstance(kind, field_types.TextList) and type(kind.child) is field_types.Text:
        return st.lists(LINE, max_size=3)
    if type(kind) is field_types.Text:
        return LINE if kind.trim_whitespace else PROSE
    plain = {
        field_types.Email: st.sampled_from(
            ["a@x.example", "=b@x.example", "o'neil+x@y.example", "-c@x.example"]
        ),
        field_types.Phone: st.sampled_from(["+14155550123", "+442071234567", "+14155550123;ext=12"]),
        field_types.Url: st.sampled_from(["https://x.example/a?b=1,2", "http://y.example"]),
        field_types.Boolean: st.booleans(),
        field_types.Integer: st.integers(0, 100),
        field_types.Money: st.decimals(0, 10**9, places=2),
        field_types.Float: st.floats(0, 1),
        field_types.Date: st.dates(date(1990, 1, 1), date(2090, 1, 1)),
        field_types.DateTime: MOMENT,
    }
    return plain.get(type(kind))


def records_of(entity: Any) -> st.SearchStrategy[dict[str, Any]]:
    skipped = {"custom_fields", "recurrence", "time_zone", "stage", "domain", "lost_reason"}
    found = {
        c.name: values_of_kind(c.field_type)
        for c in entity.columns
        if c.writable and c.name not in skipped and values_of_kind(c.field_type) is not None
    }
    # A lead or contact needs anything to speak of.
    needed = {entity.display_fields[0], *(c.name for c in entity.columns if c.required)}
    required = {name: s for name, s in found.items() if name in needed}
    optional = {name: s for name, s in found.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


CUSTOM = st.fixed_dictionaries(
    {},
    optional={
        "remark": LINE,
        "size": st.decimals(-1000, 1000, places=3),
        "price": st.decimals(0, 1000, places=2),
        "since": st.dates(date(1990, 1, 1), date(2090, 1, 1)).map(str),
        "at": MOMENT.map(lambda m: m.isoformat()),
        "good": st.booleans(),
        "colours": st.lists(st.sampled_from(["red", "a,b", "=x"]), unique=True),
    },
)


def define_custom_fields(entity):
    kinds_of = {
        "remark": "text",
        "size": "number",
        "price": "money",
        "since": "date",
        "at": "datetime",
        "good": "boolean",
    }
    for key, kind in kinds_of.items():
        CustomFieldFactory(entity=entity.name, key=key, type=kind)
    CustomFieldFactory(
        entity=entity.name, key="colours", label="c", type="multi_choice", choices=["red", "a,b", "=x"]
    )


@pytest.mark.parametrize("name", ["lead", "contact", "company", "opportunity", "task"])
@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_export_then_import_changes_nothing(name, format, admin, admin_user):
    entity = entities[name]
    define_custom_fields(entity)

    @given(st.lists(st.tuples(records_of(entity), CUSTOM), min_size=1, max_size=4))
    @settings(
        max_examples=8 if format == "csv" else 4, deadline=None, suppress_health_check=list(HealthCheck)
    )
    def run(bodies):
        entity.model.objects.all().delete()
        with audit_context(admin_user, source="api"):
            for body, custom in bodies:
                try:
                    writing.create_from_input(entity, body | {"custom_fields": custom}, admin_user)
                except DomainError:
                    continue  # the rules refuse it: no record to export
        before = list(entity.model.objects.order_by("pk").values())
        if not before:
            return
        exported = b"".join(
            admin.get(f"/api/v1/export/{entity.plural}/", {"format": format}).streaming_content
        )
        last = Change.objects.order_by("-id").values_list("id", flat=True).first()
        file = SimpleUploadedFile(f"x.{format}", exported)
        response = admin.post(
            f"/api/v1/import/{entity.plural}/", {"file": file, "update_existing": "true"}, format="multipart"
        )
        body = response.json()
        assert response.status_code == 200, body
        assert (body["unchanged"], body["failed"], body["updated"]) == (len(before), 0, 0), body[
            "error_details"
        ]
        assert list(entity.model.objects.order_by("pk").values()) == before
        assert not Change.objects.filter(entity=name, id__gt=last).exists()

    run()


def test_the_csv_itself_is_disarmed_and_readable(admin):
    admin.post("/api/v1/leads/", {"first_name": "=cmd|' /C calc'!A0", "tags": ["a", "b"], "notes": "+1"})
    text = b"".join(admin.get("/api/v1/export/leads/").streaming_content).decode()
    row = next(csv.DictReader(io.StringIO(text)))
    assert row["first_name"] == "'=cmd|' /C calc'!A0"
    assert (row["tags"], row["notes"]) == ("a;b", "'+1")
    assert row["created_at"].endswith("Z")


def test_amounts_are_exported_as_numbers_and_not_disarmed(admin):
    admin.post("/api/v1/opportunities/", {"name": "x", "amount": "12.50"})
    text = b"".join(admin.get("/api/v1/export/opportunities/").streaming_content).decode()
    assert next(csv.DictReader(io.StringIO(text)))["amount"] == str(Decimal("12.50"))


@pytest.mark.parametrize(
    ("tags", "cell"),
    [
        ([], ""),
        (["a", "=b"], "a;=b"),
        (["=1+1", "b"], "'=1+1;b"),
        (["'=1"], "''=1"),
        (["'", "=1"], "';=1"),
        (["\uff20x"], "'\uff20x"),
        (["=a;b", "c"], '["=a;b","c"]'),
        (["a:::b"], '["a:::b"]'),
    ],
)
def test_a_list_is_disarmed_by_its_first_item(admin, admin_user, tags, cell):
    with audit_context(admin_user):
        lead = LeadFactory(first_name="Ada", owner=admin_user, tags=tags)
    text = b"".join(admin.get("/api/v1/export/leads/?fields=id,tags").streaming_content).decode()
    assert list(csv.reader(io.StringIO(text)))[1] == [str(lead.pk), cell]
    file = SimpleUploadedFile("l.csv", text.encode())
    body = admin.post(
        "/api/v1/import/leads/", {"file": file, "update_existing": "true"}, format="multipart"
    ).json()
    assert (body["unchanged"], body["updated"], body["failed"]) == (1, 0, 0)


# ---- What spreadsheets make of it ----


def book_of(rows, formats=()):
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        made = {place: book.add_format({"num_format": code}) for place, code in dict(formats).items()}
        for number, row in enumerate(rows):
            for place, value in enumerate(row):
                if value is not None:
                    sheet.write(number, place, value, made.get(place) if number else None)
    return out.getvalue()


def test_numbers_of_a_sheet_are_what_is_seen_in_it(admin):
    serial = 45_658.5
    content = book_of(
        [
            [
                "last_name",
                "external_id",
                "postal_code",
                "phone",
                "next_follow_up_at",
                "estimated_value",
                "notes",
            ],
            ["A", 1234567890123456, 501, 33612345678, serial, 0.1 + 0.2, 12300000000000000],
        ],
        {2: "00000"},
    )
    body = upload(admin, content, name="l.xlsx", phone_region="FR").json()
    assert (body["created"], body["warnings"]) == (1, []), body
    lead = Lead.objects.get()
    assert (lead.external_id, lead.postal_code, lead.notes) == (
        "1234567890123456",
        "00501",
        "12300000000000000",
    )
    assert (lead.phone, str(lead.estimated_value)) == ("+33612345678", "0.30")
    assert lead.next_follow_up_at == datetime(2025, 1, 1, 12, tzinfo=UTC)


def test_hundredths_of_a_sheet_are_the_percentage_that_is_seen_in_it(admin):
    rows = [["name", "probability", "amount", "notes"], ["A", 1, 0.5, 0.125], ["B", 0.07, 2, "x"]]
    body = upload(
        admin, book_of(rows, {1: "0%", 2: '0.0"%"', 3: "0.00%"}), "opportunities", name="l.xlsx"
    ).json()
    assert (body["created"], body["warnings"]) == (2, []), body
    found = Opportunity.objects.order_by("name").values_list("probability", "amount", "notes")
    assert list(found) == [(100, Decimal("0.50"), "12.5%"), (7, Decimal("2.00"), "x")]


def test_a_sheet_holds_days_and_moments_as_such(admin, make_user, api):
    user = make_user("admin", time_zone="Asia/Tokyo")
    when = datetime(2030, 1, 31, 9, 30, 15, 123456, tzinfo=UTC)
    LeadFactory(last_name="A", owner=user, last_contacted_at=when)
    client = api(user)
    content = b"".join(client.get("/api/v1/export/leads/?format=xlsx").streaming_content)
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    at = sheet[0].index("last_contacted_at")
    assert sheet[1][at] == datetime(2030, 1, 31, 9, 30, 15)  # noqa: DTZ001  (a sheet has no zones)
    body = upload(client, content, name="l.xlsx", duplicates="update").json()
    assert (body["unchanged"], body["updated"]) == (1, 0)
    assert Lead.objects.get().last_contacted_at == when


def test_phones_and_times_of_a_csv_export_are_read_by_spreadsheets_and_by_us(admin, admin_user):
    ContactFactory(
        last_name="A",
        owner=admin_user,
        phone="+33612345678",
        mobile="0612345678",
        additional_phones=["+33612345679", "+33612345680"],
        last_contacted_at=datetime(2030, 1, 31, 9, 30, 15, 123456, tzinfo=UTC),
    )
    names = "id,phone,mobile,additional_phones,last_contacted_at"
    text = b"".join(admin.get(f"/api/v1/export/contacts/?fields={names}").streaming_content).decode()
    assert text.splitlines()[1].partition(",")[2] == (
        "tel:+33612345678,tel:0612345678,tel:+33612345679;tel:+33612345680,2030-01-31T09:30:15Z"
    )
    body = upload(admin, text, "contacts", duplicates="update").json()
    assert (body["unchanged"], body["updated"], body["failed"]) == (1, 0, 0)
    kept = b"".join(admin.get("/api/v1/export/contacts/?fields=phone&formulas=keep").streaming_content)
    assert kept.decode().splitlines()[1] == "+33612345678"
