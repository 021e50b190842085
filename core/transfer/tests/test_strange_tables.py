"""Tables that are no lists of people: taken for what they are, or refused for what is missing."""

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from core.customization.tests.factories import CustomFieldFactory
from core.entities import entities
from core.errors import InvalidError
from core.transfer.models import ImportJob
from core.transfer.options import parse
from core.transfer.planning import check_importable, missing_required, plan
from core.transfer.reading import open_table
from lead_management.models import Lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def planned(admin_user):
    def make(text, **options):
        asked = parse(options)
        return plan(entities["lead"], open_table(io.BytesIO(text.encode()), asked.reading), asked, admin_user)

    return make


def targets(made):
    return {m.header: m.target and m.target.name for m in made.mapped}


def post(client, text, path="", resource="leads", **form):
    file = SimpleUploadedFile("t.csv", text.encode())
    return client.post(f"/api/v1/import/{resource}/{path}", {"file": file, **form}, format="multipart")


@pytest.mark.parametrize(
    "cells", [["NaN"] * 30, ["cellular"] * 60 + ["telephone"] * 40], ids=["none at all", "a few words"]
)
def test_a_contact_column_that_holds_no_names_is_not_taken_for_names(planned, cells):
    made = planned("job,contact\n" + "".join(f"clerk,{cell}\n" for cell in cells))
    assert targets(made) == {"job": "job_title", "contact": None}
    assert made.mapped[1].reason == "none of its values seems to be a name"


@pytest.mark.parametrize("count", [1, 40])
def test_a_contact_column_that_holds_names_is(planned, count):
    made = planned("job,contact\n" + "".join(f"clerk,Ada Byron{i}\n" for i in range(count)))
    assert targets(made) == {"job": "job_title", "contact": "full_name"}


ANY_OF = "first_name or last_name or email or phone or mobile or company_name or company"


def test_a_file_none_of_whose_rows_could_be_imported_is_refused_at_once(admin, settings):
    settings.CRM = {"IMPORT_ROWS_AT_ONCE": 1}
    text = "Job,Balance\n" + "clerk,12\n" * 3
    assert post(admin, text, "preview/").json()["missing_required"] == [ANY_OF]
    answer = post(admin, text)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert (error["field"], error["code"]) == ("mapping", "required")
    assert error["message"].startswith(f"No column gives {ANY_OF}, which every new record needs.")
    assert "(Job, Balance)" in error["message"]
    assert ImportJob.objects.count() == 0


def test_one_that_may_match_records_or_is_given_the_rest_is_not(planned, admin):
    with pytest.raises(InvalidError, match="No column gives first_name"):
        check_importable(planned("city\nRome\n"))
    check_importable(planned("email\na@x.example\n", duplicates="update"))
    given = planned("city\nRome\n", default_values='{"first_name": "Someone at"}')
    assert missing_required(given) == []
    check_importable(given)


def test_what_programs_write_for_nothing_is_nothing_and_names_are_kept(admin):
    text = "first_name,last_name,job_title,city,notes\nAda,Null,NaN,#N/A,n/a\nNan,NaN,N/A,#REF!,none of it\n"
    assert post(admin, text).json()["created"] == 2
    rows = Lead.objects.order_by("id").values_list("first_name", "last_name", "job_title", "city", "notes")
    assert list(rows) == [("Ada", "Null", "", "", ""), ("Nan", "", "", "", "none of it")]


def test_a_whole_name_that_says_nothing_is_a_name_missing(admin):
    body = post(admin, "Full Name,city\nNaN,Rome\nAda Byron,Bern\n").json()
    assert (body["created"], body["failed"]) == (1, 1)
    assert body["error_details"][0]["errors"][0]["code"] == "required"


def test_the_title_of_a_lead_of_krayins_is_nobodys_job(planned):
    made = planned("id,title,lead_value,status,lead_pipeline_stage_id\n1,200 chairs for the hall,900,1,5\n")
    assert targets(made) == {
        "id": "external_id", "title": None, "lead_value": "estimated_value", "status": None,
        "lead_pipeline_stage_id": None,
    }  # fmt: skip


# What HubSpot's export of leads begins with, and what it calls the day a record was made.
HUBSPOT = (
    "Record ID,First Name,Email,Contact owner,Lifecycle Stage,Create Date\n"
    "7,Ada,a@x.example,,lead,2019-03-02 10:15\n"
)


def test_the_day_a_record_was_made_elsewhere_is_left_out(planned, admin):
    assert targets(planned(HUBSPOT))["Create Date"] is None
    assert post(admin, HUBSPOT).json()["created"] == 1
    assert Lead.objects.get().created_at.year > 2019


def test_it_is_kept_in_a_field_somebody_made_for_it(planned, admin):
    CustomFieldFactory(entity="lead", key="since", label="Create date", type="datetime")
    assert targets(planned(HUBSPOT))["Create Date"] == "custom_fields.since"
    assert post(admin, HUBSPOT).json()["created"] == 1
    lead = Lead.objects.get()
    assert lead.custom_fields["since"].startswith("2019-03-02T10:15")
    assert lead.external_id == "7"


def test_a_preview_names_required_custom_fields_that_nothing_gives(admin):
    CustomFieldFactory(entity="contact", key="region", type="text", required=True)
    CustomFieldFactory(entity="contact", key="size", type="number", required=True, default=5)
    CustomFieldFactory(entity="company", key="vat", type="text", required=True)
    text = "first_name,last_name,company\nAda,Byron,Acme\n"

    def preview(text=text, **form):
        return post(admin, text, "preview/", "contacts", **form).json()

    assert preview()["missing_required"] == ["custom_fields.region"]
    assert preview(default_values='{"custom_fields.region": "EMEA"}')["missing_required"] == []
    assert preview(text.replace("company", "region"))["missing_required"] == []
    warnings = preview(create_missing="true")["warnings"]
    found = [w["message"] for w in warnings if w["code"] == "create_missing"]
    needs = "A new company needs custom_fields.vat too: rows that name none that is there"
    assert found == [f"{needs} come in without it."]
    warnings = preview(create_missing="true", on_bad_value="error")["warnings"]
    assert [w["message"] for w in warnings if w["code"] == "create_missing"] == [f"{needs} fail."]
    assert post(admin, text, resource="contacts").status_code == 400


def test_what_a_quoted_cell_holds_is_no_delimiter_with_a_blank(admin):
    """A list in a cell (`["red", "a,b"]`) looks like `, "` and must not cost other cells their blanks."""
    text = 'first_name,custom,notes\nAda,"[""red"", ""a,b""]", 0\n'
    assert post(admin, text).json()["created"] == 1
    assert Lead.objects.get().notes == " 0"
    assert post(admin, 'first_name, notes\nBea, "a, b"\n').json()["created"] == 1
    assert Lead.objects.get(first_name="Bea").notes == "a, b"
