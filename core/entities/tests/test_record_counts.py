"""Counts that are kept as records change: right after every way of writing, for every role, and folded."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIRequestFactory, force_authenticate

from contacts.models import Company, Contact
from contacts.tests.factories import CompanyFactory, ContactFactory
from core.accounts.tests.factories import TeamFactory
from core.customization.tasks import fold_record_counts
from core.entities import entities, record_counts
from core.entities.record_counts import RecordCount
from core.second_connection import second_connection
from core.sharing.tests.factories import ShareFactory
from lead_management.api.views import LeadViewSet
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory
from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
LEADS, TASKS, TAGS = "/api/v1/leads/", "/api/v1/tasks/", "/api/v1/tags/"
# Filters that every lead passes: what they leave is counted on the spot.
ALL_LEADS = {"lead_score__gte": 0}


ENTITIES = ["company", "contact", "lead", "opportunity", "task"]


def all_right():
    return record_counts.counted_entities() == ENTITIES and not any(map(record_counts.wrong, ENTITIES))


def folded():
    while fold_record_counts():
        pass


@pytest.fixture
def people(make_user):
    west = TeamFactory(name="West")
    below = TeamFactory(name="Below", parent=west)
    return {
        "manager": make_user("manager", team=west),
        "viewer": make_user("viewer", team=west),
        "rep": make_user("rep", team=below),
        "colleague": make_user("rep", team=west),
        "stranger": make_user("rep"),
    }


@pytest.fixture
def leads(people):
    rep, colleague, stranger = people["rep"], people["colleague"], people["stranger"]
    made = [
        LeadFactory(owner=rep, tags=["vip", "new"], status="new", lead_source="referral", lead_score=80),
        LeadFactory(owner=rep, assigned_to=colleague, tags=["vip"], status="converted", lead_score=90),
        LeadFactory(owner=rep, assigned_to=rep, priority="high", lead_score=71),
        LeadFactory(owner=colleague, assigned_to=stranger, tags=["odd"], status="lost", lead_score=70),
        LeadFactory(owner=stranger, assigned_to=rep, tags=["odd", "vip"], lead_score=0),
        LeadFactory(owner=stranger, tags=["secret"], status="qualified", lead_score=75),
        LeadFactory(owner=None, tags=["nobody"], lead_source="website"),
    ]
    LeadFactory(owner=rep, tags=["gone"], archived_at=timezone.now())
    return made


def test_counts_are_right_after_every_way_of_writing(admin, people, leads):
    CompanyFactory(tags=["a", "b"], owner=people["rep"])
    ContactFactory(tags=["a"])
    OpportunityFactory(tags=["deal"], owner=people["rep"])
    TaskFactory(tags=["call"])
    assert all_right()
    ids = [lead.pk for lead in leads]
    assert (
        admin.patch(f"{LEADS}{ids[0]}/", {"status": "contacted", "tags": ["vip", "late"]}).status_code == 200
    )
    asked = {
        "ids": ids[:4],
        "action": "update",
        "data": {"priority": "low", "assigned_to": people["stranger"].pk},
    }
    assert admin.post(f"{LEADS}bulk_update/", asked).json()["updated"] == 4
    assert all_right()
    assert admin.delete(f"{LEADS}{ids[1]}/").status_code == 204
    assert admin.post(f"{LEADS}{ids[1]}/restore/").status_code == 200
    assert admin.delete(f"{LEADS}{ids[2]}/").status_code == 204
    assert admin.delete(f"{LEADS}{ids[3]}/?hard=true").status_code == 204
    assert all_right()
    Lead.objects.filter(owner=people["rep"]).update(lead_score=F("lead_score") / 2, owner=None)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE lead_management_lead SET tags = '{}', lead_source = 'event' WHERE id = %s", [ids[4]]
        )
        cursor.execute("DELETE FROM contacts_contact")
        cursor.execute(
            "INSERT INTO lead_management_lead (first_name, last_name, tags)"
            " SELECT 'A', n::text, ARRAY['many', 'n' || n %% 3] FROM generate_series(1, 500) n",
            [],
        )
    Company.objects.update(owner=people["stranger"])
    assert all_right()
    folded()
    assert all_right()
    assert Contact.objects.count() == 0
    assert record_counts.tags(entities["contact"], people["manager"]) == {}


@pytest.mark.parametrize("is_folded", [False, True])
@pytest.mark.parametrize("role", ["admin", "manager", "viewer", "rep", "colleague", "stranger"])
def test_kept_and_counted_figures_are_the_same(api, admin_user, people, leads, role, is_folded):
    ShareFactory(record=leads[5], user=people["rep"])
    ShareFactory(record=leads[0], user=people["rep"])
    ShareFactory(record=leads[6], user=None, team=people["viewer"].team)
    if is_folded:
        folded()
    client = api(admin_user if role == "admin" else people[role])
    kept = client.get(f"{LEADS}statistics/").json()
    assert kept == client.get(f"{LEADS}statistics/", ALL_LEADS).json()
    listed = client.get(LEADS).json()
    assert kept["total"] == listed["count"] == len(listed["results"])
    tags = sorted(tag for lead in listed["results"] for tag in lead["tags"])
    found = client.get(TAGS, {"entity": "lead"}).json()["results"]
    assert sorted(row["tag"] for row in found for _ in range(row["count"])) == tags
    expected = {"admin": 7, "manager": 6, "viewer": 6, "rep": 6, "colleague": 3, "stranger": 3}
    assert kept["total"] == expected[role]


@pytest.mark.parametrize("is_folded", [False, True])
@pytest.mark.parametrize("role", ["admin", "manager", "rep", "stranger"])
def test_kept_and_counted_figures_of_tasks_are_the_same(api, admin_user, people, role, is_folded):
    rep, stranger, now = people["rep"], people["stranger"], timezone.now()
    TaskFactory(owner=rep, status="pending", due_date=now - timedelta(days=2), task_type="call")
    TaskFactory(owner=rep, status="in_progress", due_date=now, priority="high")
    TaskFactory(owner=rep, status="completed", due_date=now - timedelta(days=2), assigned_to=stranger)
    TaskFactory(owner=stranger, status="cancelled", due_date=now)
    shared = TaskFactory(owner=stranger, status="pending", due_date=now + timedelta(days=9))
    ShareFactory(record=shared, user=rep)
    Task.objects.filter(pk=shared.pk).update(priority="urgent")
    if is_folded:
        folded()
    client = api(admin_user if role == "admin" else people[role])
    kept = client.get(f"{TASKS}statistics/").json()
    assert kept == client.get(f"{TASKS}statistics/", {"id__gte": 1}).json()
    expected = {"admin": (5, 3, 2), "manager": (3, 2, 2), "rep": (4, 3, 2), "stranger": (3, 1, 0)}
    assert (kept["total"], kept["open"], kept["overdue"]) == expected[role]
    assert kept["by_priority"]["urgent"] == (role != "manager")


def test_statistics_and_tags_read_no_record(admin, leads):
    for path in (f"{LEADS}statistics/", TAGS):
        with CaptureQueriesContext(connection) as queries:
            assert admin.get(path).status_code == 200
        assert not [q["sql"] for q in queries if "lead_management_lead" in q["sql"]], path


def test_the_number_of_a_long_list_is_exact(admin, settings, leads):
    settings.CRM = getattr(settings, "CRM", {}) | {"COUNT_LIMIT": 2}
    page = admin.get(LEADS, {"page_size": 3}).json()
    assert (page["count"], "count_estimated" in page, len(page["results"])) == (7, False, 3)


class NewLeadViewSet(LeadViewSet):
    queryset = Lead.objects.filter(status="new")


def test_a_view_of_a_part_counts_that_part(admin_user, leads):
    for name, figure in (("list", "count"), ("statistics", "total")):
        request = APIRequestFactory().get(LEADS)
        force_authenticate(request, admin_user)
        assert NewLeadViewSet.as_view({"get": name})(request).data[figure] == 4, name


def test_what_was_appended_is_added_up_once(leads):
    appended = RecordCount.objects.filter(is_folded=False).count()
    assert fold_record_counts() == appended > 0
    assert fold_record_counts() == 0
    assert all_right()
    before = RecordCount.objects.count()
    Lead.objects.filter(pk=leads[0].pk).update(lead_score=10)
    Lead.objects.filter(pk=leads[0].pk).update(lead_score=80)
    assert RecordCount.objects.filter(is_folded=False).count() == 4  # score and hot, there and back
    assert fold_record_counts() == 4
    assert (RecordCount.objects.count(), all_right()) == (before, True)


def test_a_change_of_something_else_appends_nothing(leads):
    folded()
    Lead.objects.update(notes="Called.", city="Bergen", version=F("version") + 1)
    assert not RecordCount.objects.filter(is_folded=False).exists()


def test_a_wrong_count_is_named_and_made_right(leads):
    rep = leads[0].owner_id
    folded()
    assert _checked() == "All counts are right.\n"
    RecordCount.objects.filter(
        entity="lead", field="tags", value="vip", owner_id=rep, assigned_to_id=0
    ).update(amount=5)
    with pytest.raises(CommandError, match="1 counts are wrong"):
        _checked()
    assert "lead: 1 corrected\n" in _checked("--correct")
    assert _checked() == "All counts are right.\n"


def _checked(*options):
    said = StringIO()
    call_command("check_record_counts", *options, stdout=said)
    return said.getvalue()


def test_only_the_counts_of_whom_one_reaches_are_read(people, leads):
    rows = record_counts.kept(entities["lead"], people["stranger"])
    ids = {people["stranger"].pk}
    assert all(ids & {row.owner_id, row.assigned_to_id} for row in rows)
    assert rows.exists()


@pytest.mark.django_db(transaction=True)
def test_writers_do_not_wait_for_each_other_nor_for_adding_up(admin_user):
    with second_connection() as other:
        other.rows("BEGIN", [])
        other.rows(INSERT, [])
        LeadFactory(tags=["vip"])
        folded()
        assert record_counts.tags(entities["lead"], admin_user) == {"vip": 1}
        other.rows("COMMIT", [])
    assert record_counts.tags(entities["lead"], admin_user) == {"vip": 2}
    folded()
    assert all_right()


INSERT = "INSERT INTO lead_management_lead (first_name, last_name, tags) VALUES ('B', 'B', '{vip}')"
