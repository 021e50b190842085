"""Activities and tasks about several records: who sees them where, what is counted, what becomes of them."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from contacts.models import Contact
from contacts.tests.factories import CompanyFactory, ContactFactory
from core.activities.models import Activity, ActivityRecord
from core.activities.tests.factories import ActivityFactory
from core.changes.dispatch import dispatch
from core.changes.models import Change
from core.lead_scoring.activity_counts import _COUNTS, MEETINGS
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory
from tasks.models import Task, TaskRecord
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
URL, TASKS = "/api/v1/activities/", "/api/v1/tasks/"
KINDS = ("activity", "task")
each = pytest.mark.parametrize("kind", KINDS)


def ref(record):
    return {"entity": record.entity_name, "id": record.pk}


def made(client, kind, first, *further):
    """An activity or task about a first record and further ones, over the API."""
    records = [ref(one) for one in further]
    if kind == "task":
        body = {"title": "Meet", first.entity_name: first.pk, "records": records}
        return client.post(TASKS, body)
    body = {"type": "meeting", "subject": "Meet", first.entity_name: first.pk, "records": records}
    return client.post(URL, body)


def address(kind, answer):
    return f"{TASKS if kind == 'task' else URL}{answer.json()['id']}/"


def ids(records):
    return [(one["entity"], one["id"]) for one in records]


def on_timeline(client, record, kind):
    found = client.get(f"/api/v1/{PLURAL[record.entity_name]}/{record.pk}/timeline/", {"kind": kind})
    assert found.status_code == 200, found.json()
    return [entry["id"] for entry in found.json()["results"]]


PLURAL = {"lead": "leads", "contact": "contacts", "company": "companies", "opportunity": "opportunities"}


@each
def test_another_record_alone_makes_another_entity_tag(admin, kind):
    lead, contact = LeadFactory(), ContactFactory()
    url = address(kind, made(admin, kind, lead))

    def tag():
        return admin.get(url).headers["ETag"]

    before = tag()
    changed = admin.patch(url, {"records": [ref(contact)]}, headers={"If-Match": before})
    assert (changed.status_code, changed.headers["ETag"]) == (200, tag())
    assert tag() != before
    stale = admin.patch(url, {"records": []}, headers={"If-Match": before})
    assert (stale.status_code, ids(admin.get(url).json()["records"])) == (412, [("contact", contact.pk)])
    before = tag()
    assert admin.patch(url, {"records": [ref(contact)]}).status_code == 200
    assert tag() == before
    assert admin.patch(url, {"records": []}, headers={"If-Match": before}).status_code == 200
    assert tag() != before


def test_the_version_of_a_task_rises_however_its_further_records_change(django_assert_num_queries):
    tasks = [TaskFactory() for _ in range(2)]
    rows = [TaskRecord(task=task, entity="lead", object_id=pk) for task in tasks for pk in (1, 2)]
    with django_assert_num_queries(1):
        TaskRecord.objects.bulk_create(rows)
    assert list(Task.objects.order_by("pk").values_list("version", flat=True)) == [2, 2]
    TaskRecord.objects.filter(task=tasks[0], object_id=2).update(task=tasks[1], object_id=3)
    TaskRecord.objects.filter(task=tasks[1]).delete()
    assert list(Task.objects.order_by("pk").values_list("version", flat=True)) == [3, 4]
    assert Task.objects.earliest("pk").updated_at > tasks[0].updated_at
    assert Change.objects.filter(entity="task", kind="updated").count() == 0


# -- writing and reading ----------------------------------------------------------------------------


@each
def test_one_is_about_several_records(admin, kind):
    deal, ada, bob = OpportunityFactory(), ContactFactory(first_name="Ada"), ContactFactory(first_name="Bob")
    answer = made(admin, kind, deal, ada, bob)
    assert answer.status_code == 201, answer.json()
    assert answer.json()["records"] == [
        {"entity": "contact", "id": ada.pk, "name": "Ada"},
        {"entity": "contact", "id": bob.pk, "name": "Bob"},
    ]
    at, pk = address(kind, answer), answer.json()["id"]
    assert admin.get(at).json()["records"] == answer.json()["records"]
    for record in (deal, ada, bob):
        assert on_timeline(admin, record, kind) == [pk]
    changed = admin.patch(at, {"records": [ref(bob), ref(deal)]})
    # What is the first record is no further one.
    assert ids(changed.json()["records"]) == [("contact", bob.pk)]
    assert on_timeline(admin, ada, kind) == []
    # As it was read it can be sent back; without `records` they stay.
    assert admin.patch(at, {"records": changed.json()["records"]}).status_code == 200
    assert ids(admin.patch(at, {}).json()["records"]) == [("contact", bob.pk)]
    assert admin.patch(at, {"records": []}).json()["records"] == []


@each
def test_what_is_wrong_is_named_and_nothing_is_written(admin, api, rep, kind):
    deal, hidden, gone = OpportunityFactory(owner=rep), ContactFactory(), ContactFactory(owner=rep)
    gone.archived_at = timezone.now()
    gone.save()
    mine = ContactFactory(owner=rep)
    first = {"opportunity": deal.pk}
    base = {"title": "Meet"} if kind == "task" else {"type": "meeting", "subject": "Meet"}
    for records, field, code in [
        ([ref(mine), ref(hidden)], "records[1].id", "does_not_exist"),
        ([ref(gone)], "records[0].id", "does_not_exist"),
        ([{"entity": "contact", "id": 999_999}], "records[0].id", "does_not_exist"),
        ([ref(mine), ref(mine)], "records[1].id", "given_twice"),
        ([{"entity": "user", "id": rep.pk}], "records[0].entity", "invalid_choice"),
        ([ref(mine)] * 51, "records", "max_length"),
        ([{"entity": "contact"}], "records[0].id", "required"),
        ([ref(mine) | {"role": "x"}], "records[0].role", "unknown_field"),
    ]:
        answer = api(rep).post(TASKS if kind == "task" else URL, base | first | {"records": records})
        assert answer.status_code == 400, (records, answer.json())
        [error] = answer.json()["errors"]
        assert (error["field"], error["code"]) == (field, code)
    assert api(rep).post(TASKS if kind == "task" else URL, base | first | {"records": 5}).status_code == 400
    assert (Activity.objects.count(), Task.objects.count()) == (0, 0)


def test_lists_find_what_is_further_about_a_record(admin):
    deal, ada = OpportunityFactory(), ContactFactory()
    meeting, task = made(admin, "activity", deal, ada).json(), made(admin, "task", deal, ada).json()
    ActivityFactory(entity="contact", object_id=ContactFactory().pk)
    for record in (deal, ada):
        found = admin.get(URL, {record.entity_name: record.pk}).json()["results"]
        assert [one["id"] for one in found] == [meeting["id"]]
        found = admin.get(TASKS, {f"any_{record.entity_name}": record.pk}).json()["results"]
        assert [one["id"] for one in found] == [task["id"]]
    # The column is the first record alone.
    assert admin.get(TASKS, {"contact": ada.pk}).json()["results"] == []


@each
def test_a_page_costs_the_same_however_many_records_there_are(admin, django_assert_num_queries, kind):
    first = ContactFactory()
    url = TASKS if kind == "task" else URL

    def statements(count):
        for _ in range(count):
            assert made(admin, kind, first, *ContactFactory.create_batch(3)).status_code == 201
        with django_assert_num_queries(6, exact=False) as captured:
            assert len(admin.get(url).json()["results"]) >= count
        return len(captured)

    assert statements(1) == statements(8)


def test_fields_leave_the_records_out(admin):
    made(admin, "task", ContactFactory(), ContactFactory())
    assert admin.get(TASKS, {"fields": "title"}).json()["results"][0].keys() == {"title"}
    [found] = admin.get(TASKS, {"fields": "id,records"}).json()["results"]
    assert (set(found), len(found["records"])) == ({"id", "records"}, 1)
    [expanded] = admin.get(TASKS, {"expand": "contact"}).json()["results"]
    assert (len(expanded["records"]), type(expanded["contact"])) == (1, dict)


# -- who sees what ----------------------------------------------------------------------------------


def test_who_sees_one_of_the_records_sees_the_activity_and_no_other_record(api, rep, admin, make_user):
    deal, own, other = OpportunityFactory(), ContactFactory(owner=rep), ContactFactory()
    answer = made(admin, "activity", deal, own, other)
    at = address("activity", answer)
    assert ids(api(rep).get(at).json()["records"]) == [("contact", own.pk)]
    assert [one["id"] for one in api(rep).get(URL).json()["results"]] == [answer.json()["id"]]
    assert on_timeline(api(rep), own, "activity") == [answer.json()["id"]]
    assert api(make_user("rep")).get(at).status_code == 404
    assert api(rep).patch(at, {"records": []}).status_code == 403
    assert ActivityRecord.objects.count() == 2


def test_a_writer_replaces_only_what_they_see(api, rep, admin):
    own, hidden = ContactFactory(owner=rep), ContactFactory()
    task = TaskFactory(owner=rep)
    at = f"{TASKS}{task.pk}/"
    admin.patch(at, {"records": [ref(own), ref(hidden)]})
    assert ids(api(rep).get(at).json()["records"]) == [("contact", own.pk)]
    assert api(rep).patch(at, {"records": []}).json()["records"] == []
    assert ids(admin.get(at).json()["records"]) == [("contact", hidden.pk)]


def test_a_key_is_shown_what_its_scopes_cover(api, admin, admin_user):
    answer = made(admin, "task", CompanyFactory(), ContactFactory())
    key = admin.post("/api/auth/api-keys/", {"name": "k", "scopes": ["tasks:read"]}).json()["key"]
    shown = api().get(address("task", answer), headers={"Authorization": f"Bearer {key}"})
    assert (shown.status_code, shown.json()["records"]) == (200, [])


# -- what is counted --------------------------------------------------------------------------------


def test_further_records_count_the_activity_too(admin):
    deal, lead, ada = OpportunityFactory(), LeadFactory(), ContactFactory()
    at = timezone.now() - timedelta(days=1)
    body = {
        "type": "call", "subject": "Hello", "opportunity": deal.pk, "happened_at": at.isoformat(),
        "records": [ref(lead), ref(ada)],
    }  # fmt: skip
    call = f"{URL}{admin.post(URL, body).json()['id']}/"

    def counted():
        lead.refresh_from_db()
        ada.refresh_from_db()
        return lead.call_attempts, lead.engagement_count, lead.last_contacted_at, ada.last_contacted_at

    assert counted() == (1, 1, at, at)
    later = at + timedelta(hours=1)
    admin.patch(call, {"type": "meeting", "happened_at": later.isoformat()})
    assert counted() == (0, 1, later, later)
    admin.patch(call, {"records": [ref(ada)]})
    assert counted() == (0, 0, later, later)
    admin.patch(call, {"records": [ref(lead)]})
    assert counted()[:2] == (0, 1)
    assert admin.delete(call).status_code == 204
    assert counted()[:2] == (0, 0)


def test_scoring_counts_what_is_further_about_a_lead(admin):
    deal, lead = OpportunityFactory(), LeadFactory()
    made(admin, "activity", deal, lead)
    days = (timezone.now() + timedelta(hours=1)).timestamp() / 86_400
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [[lead.pk], [days], "lead", "lead"])
        [row] = cursor.fetchall()
    assert row[1 + MEETINGS] == 1


def test_further_tasks_are_what_hangs_on_a_record(admin):
    deal, ada = OpportunityFactory(), ContactFactory()
    made(admin, "task", deal, ada)
    found = admin.get(f"/api/v1/contacts/{ada.pk}/dependents/").json()["results"]
    assert found == [{"type": "task", "field": "records", "count": 1, "hidden": 0}]


# -- what becomes of them ---------------------------------------------------------------------------


@each
def test_a_merge_moves_them_once_and_its_undoing_back(admin, kind):
    deal, one, two, three = OpportunityFactory(), *ContactFactory.create_batch(3)
    both, single = made(admin, kind, deal, one, two), made(admin, kind, deal, three)
    own = made(admin, kind, one, two)
    merged = admin.post("/api/v1/contacts/merge/", {"survivor": one.pk, "merged": [two.pk, three.pk]})
    assert merged.status_code == 200, merged.json()
    for answer in (both, single):
        assert ids(admin.get(address(kind, answer)).json()["records"]) == [("contact", one.pk)]
    assert admin.get(address(kind, own)).json()["records"] == []
    assert sorted(on_timeline(admin, one, kind)) == sorted(a.json()["id"] for a in (both, single, own))
    assert admin.post(f"/api/v1/merges/{merged.json()['id']}/undo/").status_code == 200
    assert ids(admin.get(address(kind, both)).json()["records"]) == [("contact", one.pk), ("contact", two.pk)]
    assert ids(admin.get(address(kind, single)).json()["records"]) == [("contact", three.pk)]
    assert ids(admin.get(address(kind, own)).json()["records"]) == [("contact", two.pk)]


@each
def test_a_conversion_keeps_them(admin, kind):
    lead, company = LeadFactory(last_name="B", email="ada@acme.example"), CompanyFactory()
    answer = made(admin, kind, company, lead)
    done = admin.post(f"/api/v1/leads/{lead.pk}/convert/", {}).json()
    found = admin.get(address(kind, answer)).json()["records"]
    assert ids(found) == [("opportunity", done["opportunity_id"])]
    moved = {"activity": "activities", "task": "tasks"}[kind]
    assert done["moved"][moved] == 1


@each
def test_a_deleted_record_takes_its_link_along_and_nothing_else(admin, kind):
    deal, ada, bob = OpportunityFactory(), ContactFactory(), ContactFactory()
    answer = made(admin, kind, deal, ada, bob)
    assert admin.delete(f"/api/v1/contacts/{ada.pk}/?hard=true").status_code == 204
    dispatch()
    model = TaskRecord if kind == "task" else ActivityRecord
    assert list(model.objects.values_list("object_id", flat=True)) == [bob.pk]
    assert ids(admin.get(address(kind, answer)).json()["records"]) == [("contact", bob.pk)]
    assert admin.delete(f"/api/v1/opportunities/{deal.pk}/?hard=true").status_code == 204
    dispatch()
    left = {"task": 1, "activity": 0}[kind]
    assert ((Task if kind == "task" else Activity).objects.count(), model.objects.count()) == (left, left)
    assert Contact.objects.filter(pk=bob.pk).exists()


@each
def test_each_change_is_recorded(admin, admin_user, kind):
    deal, ada = OpportunityFactory(), ContactFactory()
    answer = made(admin, kind, deal, ada)
    admin.patch(address(kind, answer), {"records": []})
    rows = Change.objects.filter(entity=f"{kind}_record", object_id=answer.json()["id"]).order_by("id")
    assert [(row.kind, row.changes["object_id"], row.actor_id) for row in rows] == [
        ("created", [None, ada.pk], admin_user.pk), ("deleted", [ada.pk, None], admin_user.pk),
    ]  # fmt: skip


def test_the_next_task_of_a_series_is_about_the_same_records(admin):
    ada = ContactFactory()
    due = (timezone.now() + timedelta(days=1)).isoformat()
    body = {"title": "Call", "due_date": due, "recurrence": "FREQ=WEEKLY", "records": [ref(ada)]}
    task = admin.post(TASKS, body).json()
    following = admin.post(f"{TASKS}{task['id']}/complete/", {}).json()["next_task"]
    assert ids(admin.get(f"{TASKS}{following}/").json()["records"]) == [("contact", ada.pk)]


def test_exports_name_the_further_records(admin):
    ada = ContactFactory(first_name="Ada")
    made(admin, "task", OpportunityFactory(), ada)
    text = admin.get("/api/v1/export/tasks/", {"fields": "title,records"})
    body = b"".join(text.streaming_content) if text.streaming else text.content
    assert body.decode("utf-8-sig").splitlines() == ["title,records", f'Meet,"contact {ada.pk} Ada"']


# -- the admin site ---------------------------------------------------------------------------------


def test_the_form_of_a_record_s_page_takes_further_records(client, make_user):
    deal, ada = OpportunityFactory(), ContactFactory()
    client.force_login(make_user("admin", is_staff=True))
    page = f"/admin/opportunities/opportunity/{deal.pk}/change/"
    at = timezone.now() - timedelta(minutes=5)
    sent = {
        "log": "activity", "activity-type": "meeting", "activity-direction": "outbound",
        "activity-subject": "Kick-off", "activity-happened_at_0": at.strftime("%Y-%m-%d"),
        "activity-happened_at_1": at.strftime("%H:%M:%S"), "activity-records": f"contact {ada.pk}",
    }  # fmt: skip
    assert "Also about" in client.get(page).content.decode()
    answer = client.post(page.replace("change/", "log/activity/"), sent)
    assert answer.status_code == 302, answer.content[:2000]
    assert list(ActivityRecord.objects.values_list("entity", "object_id")) == [("contact", ada.pk)]
    assert "Kick-off" in client.get(f"/admin/contacts/contact/{ada.pk}/change/").content.decode()


def test_the_page_of_a_task_changes_its_further_records(client, make_user):
    task, ada = TaskFactory(), ContactFactory(first_name="Ada")
    client.force_login(make_user("admin", is_staff=True))
    page = f"/admin/tasks/task/{task.pk}"
    for text, status in ((f"contact {ada.pk}", 302), ("nonsense", 200), ("contact 999999", 302)):
        answer = client.post(f"{page}/records/", {"records": text, "verb_sent": "1"})
        assert answer.status_code == status, text
        assert list(TaskRecord.objects.values_list("entity", "object_id")) == [("contact", ada.pk)]
    assert "Also about" in client.get(f"{page}/change/").content.decode()
    assert task.title in client.get(f"/admin/contacts/contact/{ada.pk}/change/").content.decode()
