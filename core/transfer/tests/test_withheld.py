"""What was exported or reported before a field was hidden from its user's role."""

import csv

import pytest

from core.customization.tests.factories import FieldRightFactory
from core.tasks import run_export
from core.transfer.models import ExportJob
from core.transfer.tests.uploads import upload
from lead_management.tests.factories import LeadFactory

# Exports are taken over a second connection.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(api, rep):
    """client() → the rep as the next request finds them, with the rights of that moment."""
    return lambda: api(type(rep).objects.get(pk=rep.pk))


def exported(client):
    """The address of the file of an export that is done."""
    url = client.post("/api/v1/exports/", {"resource": "leads"}).json()["url"]
    assert run_export(ExportJob.objects.latest("id").pk) == "finished"
    return client.get(url).json()["download_url"]


def test_a_file_made_before_a_field_was_hidden_is_served_no_more(client, rep, admin, admin_user):
    LeadFactory(owner=rep, phone="+14155552671")
    FieldRightFactory(field="city")
    before = exported(client())
    assert b"+14155552671" in client().get(before).getvalue()
    FieldRightFactory()
    refused = client().get(before)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/hidden-since")
    after = exported(client())
    assert b"14155552671" not in client().get(after).getvalue()
    # Nor where the field is another entity's: columns and conditions name those too.
    FieldRightFactory(entity="contact")
    assert client().get(after).status_code == 409
    type(admin_user).objects.filter(pk=rep.pk).update(role="admin")
    assert client().get(before).status_code == 200


FILE = "First name;Phone;Town;Note\nAda;12;Rome;own\nBob;+14155552671;Bonn;x\n"


def test_a_report_keeps_no_cells_of_a_field_that_was_hidden_since(client):
    mapping = {"First name": "first_name", "Phone": "phone", "Town": "city", "Note": None}
    made = upload(client(), FILE, mapping=mapping).json()
    url = made["url"]
    [fault] = client().get(f"{url}issues/").json()["results"]
    assert fault["data"] == {"First name": "Ada", "Phone": "12", "Town": "Rome", "Note": "own"}
    assert {"column": "Phone", "field": "phone", "value": "12"}.items() <= fault["errors"][0].items()
    FieldRightFactory()
    [fault] = client().get(f"{url}issues/").json()["results"]
    assert fault["data"] == {"First name": "Ada", "Phone": "", "Town": "Rome", "Note": "own"}
    assert (fault["row"], fault["error"]) == (2, "Something is wrong with a field that is hidden from you.")
    lines = client().get(f"{url}errors.csv").getvalue().decode().splitlines()
    [row] = csv.DictReader(lines)
    assert [row[name] for name in ("First name", "Phone", "Town")] == ["Ada", "", "Rome"]
    shown = client().get(url).json()
    assert [column["field"] for column in shown["columns"]] == ["first_name", None, "city", None]
    assert "12" not in str(shown["error_details"] + shown["warnings"]) + shown["message"]
    listed = client().get("/api/v1/imports/").json()["results"]
    assert listed[0]["columns"] == shown["columns"]
