"""The further records of tasks in files: exported, imported, rehearsed and taken back."""

import csv
import io

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from contacts.tests.factories import CompanyFactory, ContactFactory
from core.accounts import keys
from core.changes.models import Change
from core.transfer.models import ImportJob
from core.transfer.tests.uploads import upload
from opportunities.tests.factories import OpportunityFactory
from tasks.models import Task, TaskRecord
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(api, rep):
    return api(rep)


@pytest.fixture
def ada(rep):
    return ContactFactory(first_name="Ada", last_name="Byron", email="ada@x.example", owner=rep)


@pytest.fixture
def deal(rep):
    return OpportunityFactory(name="Engine; contact sale, 2", owner=rep)


@pytest.fixture
def hidden(make_user):
    """A company that the rep does not see."""
    return CompanyFactory(name="Secret", owner=make_user("rep"))


@pytest.fixture
def task(rep):
    return TaskFactory(title="Call", owner=rep, external_id="T1")


def link(task, *records):
    for record in records:
        TaskRecord.objects.create(task=task, entity=record.entity_name, object_id=record.pk)


def linked(task):
    return list(TaskRecord.objects.filter(task=task).values_list("entity", "object_id"))


def ref(record):
    return record.entity_name, record.pk


def load(client, text, **options):
    """The answer to an import of tasks that updates those that are there."""
    answer = upload(client, text, "tasks", **{"duplicates": "update"} | options)
    assert answer.status_code == 200, answer.json()
    return answer.json()


def outcome(body):
    figures = ("created", "updated", "unchanged", "failed", "warned")
    return {name: body[name] for name in figures if body[name]}


def exported(client, fields="id,title,records"):
    answer = client.get("/api/v1/export/tasks/", {"fields": fields})
    return b"".join(answer.streaming_content).decode()


def test_what_was_exported_is_imported_without_a_change(client, task, ada, deal, hidden):
    link(task, hidden, ada, deal)
    text = exported(client)
    [row] = csv.DictReader(io.StringIO(text))
    assert row["records"] == f"contact {ada.pk} Ada Byron; opportunity {deal.pk} Engine; contact sale, 2"
    version = Task.objects.get().version
    assert outcome(load(client, text)) == {"unchanged": 1}
    assert linked(task) == [ref(hidden), ref(ada), ref(deal)]
    assert (Task.objects.get().version, Change.objects.filter(source="import").count()) == (version, 0)


def test_an_export_brings_the_links_of_tasks_that_are_gone_back(client, task, ada, deal):
    link(task, ada, deal)
    text = exported(client, "title,external_id,records")
    Task.objects.all().delete()
    assert outcome(load(client, text)) == {"created": 1}
    assert linked(Task.objects.get()) == [ref(ada), ref(deal)]


def test_elsewhere_where_ids_are_others_the_names_decide(client, task, ada, hidden):
    text = f"external_id,records\nT1,contact {ada.pk + 1000} ada byron\n"
    assert outcome(load(client, text)) == {"updated": 1}
    assert linked(task) == [ref(ada)]
    body = load(client, f"external_id,records\nT1,contact {ada.pk} Charles\n", on_bad_value="error")
    message = f"contact {ada.pk} is not called 'Charles'; name it by its id alone."
    assert body["error_details"][0]["errors"][0]["message"] == message


@pytest.mark.parametrize(
    "cell", ["{entity} {pk}", "Contact:ADA@x.example", "contact: Ada Byron", "contact:{pk}"]
)
def test_records_are_named_as_references_are(client, task, ada, cell):
    cell = cell.format(entity="contact", pk=ada.pk)
    assert outcome(load(client, f"external_id,Further Records\nT1,{cell}\n")) == {"updated": 1}
    assert linked(task) == [ref(ada)]


def test_a_cell_replaces_what_the_importer_sees_and_a_blank_one_nothing(client, task, ada, deal, hidden):
    link(task, hidden, ada)
    cell = f'"opportunity {deal.pk}, opportunity {deal.pk}"'
    assert outcome(load(client, f"external_id,records\nT1,{cell}\n")) == {"updated": 1}
    assert linked(task) == [ref(hidden), ref(deal)]
    for blank in ("", ";"):
        assert outcome(load(client, f"external_id,title,records\nT1,Call,{blank}\n")) == {"unchanged": 1}
    assert linked(task) == [ref(hidden), ref(deal)]
    cleared = load(client, "external_id,title,records\nT1,Call,\n", clear_blank="true")
    assert (outcome(cleared), linked(task)) == ({"updated": 1}, [ref(hidden)])


def test_a_link_is_in_the_history_and_raises_the_version(client, task, ada, rep):
    body = load(client, f"external_id,records\nT1,contact {ada.pk}\n")
    version = task.version
    task.refresh_from_db()
    assert task.version == version + 1
    change = Change.objects.get(entity="task_record", object_id=task.pk)
    assert (change.kind, change.source, change.actor_id) == ("created", "import", rep.pk)
    assert (change.import_id, change.changes) == (
        int(body["url"].split("/")[-2]),
        {"entity": [None, "contact"], "object_id": [None, ada.pk]},
    )


@pytest.mark.parametrize("cell", ["contact {hidden}", "lead:nobody", "Ada", "task 5", "company {company}"])
def test_what_cannot_be_read_is_a_fault_of_its_row_or_left_empty(client, task, ada, hidden, make_user, cell):
    link(task, ada)
    stranger = ContactFactory(owner=make_user("rep")).pk
    cell = cell.format(hidden=stranger, company=hidden.pk)
    text = f"external_id,title,records\nT1,Other,contact {ada.pk}; {cell}\n"
    body = load(client, text, on_bad_value="error")
    fault = body["error_details"][0]["errors"][0]
    assert (outcome(body), fault["column"], fault["field"]) == ({"failed": 1}, "records", "records")
    task.refresh_from_db()
    assert (task.title, linked(task)) == ("Call", [ref(ada)])
    body = load(client, text, clear_blank="true")
    assert outcome(body) == {"updated": 1, "warned": 1}
    assert linked(task) == [ref(ada)]


def test_too_many_are_refused_those_that_are_hidden_counted(client, task, hidden, monkeypatch, rep):
    monkeypatch.setattr("core.activities.further_records.AT_MOST", 2)
    link(task, hidden)
    some = ContactFactory.create_batch(3, owner=rep)
    cells = ["; ".join(f"contact {one.pk}" for one in some[:n]) for n in (3, 2)]
    for cell in cells:
        text = f"external_id,title,records\nT1,New,{cell}\n"
        body = load(client, text, on_bad_value="error")
        fault = body["error_details"][0]["errors"][0]
        assert (outcome(body), fault["column"], fault["code"]) == ({"failed": 1}, "records", "max_length")
        task.refresh_from_db()
        assert (task.title, linked(task)) == ("Call", [ref(hidden)])
    body = load(client, f"external_id,title,records\nT1,New,{cells[1]}\n")
    assert (outcome(body), linked(task)) == ({"updated": 1, "warned": 1}, [ref(hidden)])


def test_rows_about_one_task_join(client, ada, deal):
    text = f"external_id,title,records\nN1,New,contact {ada.pk}\nN1,New,opportunity {deal.pk}\n"
    load(client, text)
    assert linked(Task.objects.get()) == [ref(ada), ref(deal)]
    assert outcome(load(client, text)) == {"unchanged": 2}


def test_the_record_that_a_task_belongs_to_is_not_named_twice(client, ada, deal):
    cell = f"contact {ada.pk}; opportunity {deal.pk}"
    load(client, f"external_id,title,contact,records\nN1,New,{ada.pk},{cell}\n")
    assert linked(Task.objects.get()) == [ref(deal)]


def test_a_rehearsal_counts_the_same_and_writes_nothing(client, task, ada):
    text = f"external_id,records\nT1,contact {ada.pk}\n"
    assert outcome(load(client, text, dry_run="true")) == {"updated": 1}
    assert linked(task) == []


def test_records_that_are_there_are_left_alone_where_duplicates_are_skipped(client, task, ada):
    body = load(client, f"external_id,records\nT1,contact {ada.pk}\n", duplicates="skip", clear_blank="true")
    assert (body["skipped"], linked(task)) == (1, [])


def test_a_key_needs_the_scope_of_what_is_named(api, rep, task, ada):
    client, (_, key) = api(), keys.make(rep, "test", ["tasks:write"])
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    for cell in (f"contact {ada.pk}", "contact:ada@x.example"):
        body = load(client, f"external_id,records\nT1,{cell}\n", on_bad_value="error")
        assert body["error_details"][0]["errors"][0]["code"] == "does_not_exist"
    assert linked(task) == []


def test_a_preview_knows_the_column(client, ada):
    text = f"title,records\nCall,contact {ada.pk}\nWrite,contact:nobody\n"
    body = upload(client, text, "tasks", path="preview/", on_bad_value="error").json()
    assert [column["field"] for column in body["columns"]] == ["title", "records"]
    [fault] = body["problems"]["faults"]
    assert (fault["column"], fault["code"], fault["row"]) == ("records", "does_not_exist", 3)


def test_links_of_many_rows_take_as_many_statements_as_of_few(client, rep, ada, deal):
    def asked(first, count):
        rows = "".join(
            f"N{n},New,contact {ada.pk}; opportunity {deal.pk}\n" for n in range(first, first + count)
        )
        with CaptureQueriesContext(connection) as queries:
            assert outcome(load(client, f"external_id,title,records\n{rows}")) == {"created": count}
        return len(queries)

    asked(0, 1)
    assert asked(10, 2) == asked(100, 40)


# ---- Taken back ----


def undo(client, body):
    answer = client.post(f"{body['url']}undo/")
    assert answer.status_code == 200, answer.json()
    return {name: answer.json()[name] for name in ("removed", "restored", "kept")}


def test_undo_brings_the_links_before_back(client, task, ada, deal, hidden):
    link(task, hidden, ada)
    body = load(client, f"external_id,records\nT1,opportunity {deal.pk}\n")
    assert undo(client, body) == {"removed": 0, "restored": 1, "kept": 0}
    assert sorted(linked(task)) == sorted([ref(hidden), ref(ada)])
    undone = ImportJob.objects.latest("id")
    assert set(
        Change.objects.filter(entity="task_record", import_id=undone.pk).values_list("kind", flat=True)
    ) == {"created", "deleted"}


def test_undo_removes_tasks_with_the_links_they_came_with(client, ada, deal):
    body = load(client, f"title,records\nNew,contact {ada.pk}; opportunity {deal.pk}\n")
    assert undo(client, body) == {"removed": 1, "restored": 0, "kept": 0}
    assert not TaskRecord.objects.exists()


def test_undo_keeps_tasks_whose_links_were_changed_since(client, task, ada, deal):
    text = f"external_id,title,records\nT1,Other,contact {ada.pk}\nN1,New,contact {ada.pk}\nN2,New,\n"
    body = load(client, text)
    for name in ("T1", "N1", "N2"):
        one = Task.objects.get(external_id=name)
        path = f"/api/v1/tasks/{one.pk}/"
        records = [*client.get(path).json()["records"], {"entity": "opportunity", "id": deal.pk}]
        assert client.patch(path, {"records": records}).status_code == 200
    assert undo(client, body) == {"removed": 0, "restored": 0, "kept": 3}
    assert linked(task) == [ref(ada), ref(deal)]


def test_undo_brings_fields_back_and_leaves_links_the_import_did_not_touch(client, task, ada, deal):
    link(task, ada)
    body = load(client, "external_id,title\nT1,Other\n")
    link(task, deal)
    assert undo(client, body)["restored"] == 1
    task.refresh_from_db()
    assert (task.title, linked(task)) == ("Call", [ref(ada), ref(deal)])
