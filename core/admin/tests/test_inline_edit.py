"""Status, stage, owner and next step are changed in the list, as over the API."""

import warnings

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.changes.models import Change
from core.customization.tests.factories import FieldRightFactory
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory

pytestmark = pytest.mark.django_db
LEADS = "/admin/lead_management/lead/"


def cell(record, field):
    return f"/admin/{record._meta.app_label}/{record._meta.model_name}/{record.pk}/cell/{field}/"


def test_a_status_is_changed_in_its_cell(robin, browser):
    lead, client = LeadFactory(owner=robin, status="new"), browser(robin)
    shown = client.get(LEADS).content.decode()
    assert f'hx-get="{cell(lead, "status")}"' in shown
    assert 'id="crm-cell-forms"' in shown
    asked = client.get(cell(lead, "status"))
    assert '<option value="new" selected>New</option>' in asked.content.decode()
    assert 'value="converted"' not in asked.content.decode(), "a lead is converted by its own page"
    answer = client.post(cell(lead, "status"), {"value": "contacted", "version": lead.version})
    assert "Contacted" in answer.content.decode()
    assert "<select" not in answer.content.decode()
    lead.refresh_from_db()
    assert lead.status == "contacted"
    change = Change.objects.filter(entity="lead", object_id=lead.pk).latest("id")
    assert (change.source, change.actor_id, change.changes["status"]) == (
        "admin",
        robin.pk,
        ["new", "contacted"],
    )


@pytest.mark.django_db(transaction=True)
def test_a_cell_opens_the_transaction_that_it_locks_in(robin, browser):
    lead = LeadFactory(owner=robin, status="new")
    answer = browser(robin).post(cell(lead, "status"), {"value": "contacted", "version": lead.version})
    assert "Contacted" in answer.content.decode()


def test_what_somebody_else_changed_meanwhile_is_refused_in_the_cell(robin, browser):
    lead, client = LeadFactory(owner=robin, status="new"), browser(robin)
    before = lead.version
    client.post(cell(lead, "status"), {"value": "contacted", "version": before})
    answer = client.post(cell(lead, "status"), {"value": "qualified", "version": before})
    assert "Somebody changed this record since you opened it." in answer.content.decode()
    assert 'aria-invalid="true"' in answer.content.decode()
    lead.refresh_from_db()
    assert lead.status == "contacted"


def test_what_the_api_refuses_is_refused_in_the_cell(robin, browser):
    deal, client = OpportunityFactory(owner=robin, next_step="Ring"), browser(robin)
    client.get(cell(deal, "stage"))
    answer = client.post(cell(deal, "stage"), {"value": "nowhere", "version": deal.version})
    assert 'role="alert"' in answer.content.decode()
    answer = client.post(cell(deal, "next_step"), {"value": "x" * 301, "version": deal.version})
    assert 'role="alert"' in answer.content.decode()
    before = deal.stage
    deal.refresh_from_db()
    assert (deal.stage, deal.next_step) == (before, "Ring")
    answer = client.post(cell(deal, "next_step"), {"value": "Write", "version": deal.version})
    assert "Write" in answer.content.decode()
    deal.refresh_from_db()
    assert deal.next_step == "Write"


def test_an_owner_is_found_by_typing(boss, robin, nora, browser):
    lead, client = LeadFactory(owner=robin), browser(boss)
    nora.first_name, nora.last_name = "Nora", "Novak"
    nora.save()
    found = client.get(f"{LEADS}cell_people/", {"value": "no"}).content.decode()
    assert '<option value="Nora Novak (nora)">' in found
    assert "robin" not in found
    assert client.get(f"{LEADS}cell_people/", {"value": ""}).content.decode().strip() == ""
    answer = client.post(cell(lead, "assigned_to"), {"value": "nobody", "version": lead.version})
    assert "There is no such user." in answer.content.decode()
    client.post(cell(lead, "assigned_to"), {"value": "Nora Novak (nora)", "version": lead.version})
    lead.refresh_from_db()
    assert lead.assigned_to == nora
    client.post(cell(lead, "assigned_to"), {"value": "", "version": lead.version})
    lead.refresh_from_db()
    assert lead.assigned_to is None


def test_nothing_is_changed_that_is_not_theirs(staff, robin, nora, browser):
    lead, client = LeadFactory(owner=robin, status="new", phone="+12025550123"), browser(nora)
    sent = {"value": "contacted", "version": lead.version}
    assert client.get(cell(lead, "status")).status_code == 404
    assert client.post(cell(lead, "status"), sent).status_code == 404
    # Only what the list has a cell of.
    assert (
        browser(robin).post(cell(lead, "phone"), {"value": "1", "version": lead.version}).status_code == 404
    )
    viewer = staff("vera", "viewer")
    seen = browser(viewer)
    assert (
        "hx-get" not in seen.get(LEADS).content.decode().partition("result_list")[2].partition("</table>")[0]
    )
    assert seen.post(cell(lead, "status"), sent).status_code in (403, 404)
    lead.refresh_from_db()
    assert (lead.status, lead.phone) == ("new", "+12025550123")


def test_a_field_that_may_only_be_read_has_no_cell_to_change(robin, browser):
    FieldRightFactory(field="status", access="read_only")
    lead, client = LeadFactory(owner=robin, status="new"), browser(robin)
    assert cell(lead, "status") not in client.get(LEADS).content.decode()
    answer = client.post(cell(lead, "status"), {"value": "contacted", "version": lead.version})
    assert answer.status_code == 404 or 'role="alert"' in answer.content.decode()
    lead.refresh_from_db()
    assert lead.status == "new"


def test_cells_of_a_page_cost_one_statement(robin, browser):
    client = browser(robin)

    def queries():
        with CaptureQueriesContext(connection) as found:
            assert client.get(LEADS).status_code == 200
        return len(found)

    LeadFactory(owner=robin)
    queries()
    one = queries()
    LeadFactory.create_batch(8, owner=robin)
    assert queries() == one


def test_a_range_of_moments_is_the_readers(robin, browser):
    LeadFactory(owner=robin, first_name="Ada")
    client = browser(robin)
    asked = {"created_at_from_0": "2020-01-01", "created_at_from_1": "00:00", "created_at_to_0": "2100-01-01"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        page = client.get(LEADS, asked | {"created_at_to_1": "00:00"})
        assert [row.first_name for row in page.context["cl"].result_list] == ["Ada"]
        page = client.get(LEADS, asked | {"created_at_from_0": "2099-01-01", "created_at_to_1": "00:00"})
        assert list(page.context["cl"].result_list) == []
        assert client.get(LEADS, {"created_at_from_0": "x", "created_at_from_1": "y"}).status_code == 200
