"""Every change leaves its row, whichever door it came through, under the right name."""

import threading

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from contacts.models import Company
from core.changes import audit_context, current_audit_context
from core.changes.models import Change, Outbox
from lead_management.models import Lead

pytestmark = pytest.mark.django_db


class OopsError(Exception):
    pass


def changes(**wanted):
    return list(Change.objects.filter(entity="lead", **wanted).order_by("id"))


def last(**wanted):
    return changes(**wanted)[-1]


def lead(**fields):
    return Lead.objects.create(**{"first_name": "Ada", **fields})


def write_and_fail():
    lead()
    raise OopsError


def who(change):
    return (change.kind, change.source, change.actor_id, change.request_id)


@pytest.fixture
def other_connection(transactional_db):
    """A connection that is none of Django's: psql, an ETL job, a migration of another system."""
    settings = connection.get_connection_params()
    parts = {k: settings[k] for k in ("dbname", "user", "password", "host", "port") if settings.get(k)}
    with psycopg.connect(**parts, autocommit=True) as made:
        yield made


# -- the doors ----------------------------------------------------------------------------------


def test_the_api_leaves_who_and_which_request(admin, admin_user):
    body = {"first_name": "Ada", "email": "ada@engines.example"}
    response = admin.post("/api/v1/leads/", body, headers={"X-Request-ID": "req-1"})
    url = f"/api/v1/leads/{response.json()['id']}/"
    admin.patch(url, {"status": "contacted", "priority": "high"}, headers={"X-Request-ID": "req-2"})
    assert [who(c) for c in changes()] == [
        ("created", "api", admin_user.pk, "req-1"),
        ("updated", "api", admin_user.pk, "req-2"),
    ]
    assert last().changes == {"status": ["new", "contacted"], "priority": ["medium", "high"]}
    assert changes()[0].changes == {}


def test_a_request_without_an_id_gets_one_and_its_changes_bear_it(admin):
    response = admin.post("/api/v1/leads/", {"first_name": "Ada"})
    assert last().request_id == response["X-Request-ID"]
    assert len(last().request_id) == 32


def test_create_in_a_shell_is_the_systems():
    record = lead()
    assert who(last()) == ("created", "system", None, "")
    assert (last().object_id, last().depth, last().import_id, last().execution_id) == (
        record.pk,
        0,
        None,
        None,
    )


def test_update_of_a_queryset_leaves_one_row_per_record_that_differs():
    one, two, three = lead(), lead(city="Turin"), lead()
    Lead.objects.filter(pk__in=[one.pk, two.pk, three.pk]).update(city="Turin", call_attempts=F("id"))
    found = {c.object_id: c.changes for c in changes(kind="updated")}
    assert found == {
        one.pk: {"city": ["", "Turin"], "call_attempts": [0, one.pk]},
        two.pk: {"call_attempts": [0, two.pk]},
        three.pk: {"city": ["", "Turin"], "call_attempts": [0, three.pk]},
    }


def test_bulk_create_leaves_one_row_per_record_and_one_outbox_row():
    Outbox.objects.all().delete()
    made = Lead.objects.bulk_create([Lead(first_name=str(i)) for i in range(25)])
    assert [(c.object_id, c.kind) for c in changes()] == [(record.pk, "created") for record in made]
    row = Outbox.objects.get()
    ids = [c.pk for c in changes()]
    assert (row.entity, row.rows, row.min_id, row.max_id) == ("lead", 25, ids[0], ids[-1])


def test_copy_is_captured_under_the_declared_context(rep):
    with (
        audit_context(rep, source="import", import_id=7, automation=False),
        connection.cursor() as cursor,
        cursor.copy("COPY lead_management_lead (first_name, city) FROM STDIN") as copy,
    ):
        for i in range(3):
            copy.write_row((f"Row {i}", "Turin"))
    assert [who(c) for c in changes()] == [("created", "import", rep.pk, "")] * 3
    assert {c.import_id for c in changes()} == {7}
    assert Outbox.objects.filter(entity="lead").values_list("automation", "rows").get() == (False, 3)


def test_plain_sql_from_elsewhere_is_captured_as_sql(other_connection):
    made = other_connection.execute(
        "INSERT INTO lead_management_lead (first_name) VALUES ('Psql') RETURNING id"
    ).fetchone()[0]
    other_connection.execute("UPDATE lead_management_lead SET status = 'lost' WHERE id = %s", [made])
    with other_connection.cursor().copy("COPY lead_management_lead (first_name) FROM STDIN") as copy:
        copy.write_row(("Copied",))
    other_connection.execute("DELETE FROM lead_management_lead WHERE id = %s", [made])
    assert [(c.kind, c.source, c.actor_id) for c in changes()] == [
        ("created", "sql", None),
        ("updated", "sql", None),
        ("created", "sql", None),
        ("deleted", "sql", None),
    ]
    assert changes()[1].changes == {"status": ["new", "lost"]}


def test_plain_sql_may_say_who_it_is(other_connection):
    with other_connection.transaction():
        other_connection.execute(
            'SELECT set_config(\'crm.context\', \'{"actor_id": 5, "source": "import"}\', true)'
        )
        other_connection.execute("INSERT INTO lead_management_lead (first_name) VALUES ('Etl')")
    other_connection.execute("INSERT INTO lead_management_lead (first_name) VALUES ('After')")
    assert [(c.source, c.actor_id) for c in changes()] == [("import", 5), ("sql", None)]


def test_a_merge_statement_is_captured_in_all_its_branches():
    kept = lead(external_id="a")
    with connection.cursor() as cursor:
        cursor.execute(
            "MERGE INTO lead_management_lead l USING (VALUES ('a'), ('b')) AS v(key) ON l.external_id = v.key"
            " WHEN MATCHED THEN UPDATE SET city = 'Turin'"
            " WHEN NOT MATCHED THEN INSERT (first_name, external_id) VALUES ('New', v.key)"
        )
    assert sorted((c.kind, c.object_id == kept.pk) for c in changes()) == [
        ("created", False), ("created", True), ("updated", True),
    ]  # fmt: skip


def test_an_upsert_is_captured_on_both_its_paths():
    record = lead()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO lead_management_lead (id, first_name) VALUES (%s, 'X'), (%s, 'Y')"
            " ON CONFLICT (id) DO UPDATE SET first_name = 'Changed'",
            [record.pk, record.pk + 1_000],
        )
    assert {(c.kind, c.object_id) for c in changes()[1:]} == {
        ("created", record.pk + 1_000),
        ("updated", record.pk),
    }


# -- kinds --------------------------------------------------------------------------------------


def test_archiving_restoring_and_deleting_have_their_own_kinds(admin):
    url = f"/api/v1/leads/{lead().pk}/"
    assert admin.delete(url).status_code == 204
    assert admin.post(f"{url}restore/").status_code == 200
    assert admin.delete(f"{url}?hard=true").status_code == 204
    assert [c.kind for c in changes()] == ["created", "archived", "restored", "deleted"]
    assert set(changes(kind="archived")[0].changes) == {"archived_at"}


def test_a_deleted_records_last_state_is_kept():
    record = lead(city="Turin", tags=["vip"])
    record.delete()
    gone = last().changes
    assert gone["city"] == ["Turin", None]
    assert gone["tags"] == [["vip"], None]
    assert not {"version", "updated_at", "search_text"} & set(gone)


def test_what_deletion_sets_to_null_elsewhere_is_captured_there():
    company = Company.objects.create(name="Engines")
    below = Company.objects.create(name="Below", parent=company)
    gone = company.pk
    company.delete()
    found = Change.objects.filter(entity="company", object_id=below.pk).order_by("-id").first()
    assert found.changes == {"parent_id": [gone, None]}


def test_a_write_that_changes_nothing_leaves_no_row(admin):
    record = lead(city="Turin")
    Lead.objects.filter(pk=record.pk).update(city="Turin")
    record.refresh_from_db()
    record.save()
    response = admin.patch(f"/api/v1/leads/{record.pk}/", {"city": "Turin"})
    assert (response.status_code, response["ETag"]) == (200, f'"{record.pk}-1"')
    assert [c.kind for c in changes()] == ["created"]


def test_many_to_many_relations_leave_no_rows(admin_user):
    from django.contrib.auth.models import Group

    before = Change.objects.count()
    admin_user.groups.add(Group.objects.create(name="Staff"))
    assert Change.objects.count() == before


def test_secrets_are_no_part_of_a_users_changes(rep):
    rep.set_password("another long password")
    rep.first_name = "Rita"
    rep.save()
    change = Change.objects.filter(entity="user", object_id=rep.pk).latest("id")
    assert change.changes == {"first_name": ["", "Rita"]}


# -- versions -----------------------------------------------------------------------------------


def version(record):
    return Lead.objects.values_list("version", flat=True).get(pk=record.pk)


def test_a_version_is_raised_once_per_change():
    record = lead()
    Lead.objects.filter(pk=record.pk).update(city="Turin", state="TO", tags=["vip"])
    assert version(record) == 2
    Lead.objects.filter(pk=record.pk).update(city="Turin")
    assert version(record) == 2
    Lead.objects.filter(pk=record.pk).update(custom_fields={"a": 1})
    assert version(record) == 3


def test_derived_columns_change_without_raising_the_version():
    record = lead()
    before = Lead.objects.get(pk=record.pk).updated_at
    Lead.objects.filter(pk=record.pk).update(lead_score=90, conversion_probability=0.5, engagement_count=3)
    assert version(record) == 1
    assert Lead.objects.get(pk=record.pk).updated_at == before
    assert last().changes == {
        "lead_score": [50, 90],
        "conversion_probability": [None, 0.5],
        "engagement_count": [0, 3],
    }


def test_a_stale_copy_saved_whole_never_takes_the_version_back():
    record = lead(city="Turin")
    stale = Lead.objects.get(pk=record.pk)
    for city in ("Milan", "Turin"):
        Lead.objects.filter(pk=record.pk).update(city=city)
    assert version(record) == 3
    stale.save()
    assert version(record) >= 3


def test_a_records_id_cannot_be_changed_under_its_history():
    record = lead()
    with pytest.raises(DatabaseError, match="id"), transaction.atomic():
        Lead.objects.filter(pk=record.pk).update(id=record.pk + 1_000)
    assert Lead.objects.filter(pk=record.pk).exists()


# -- the trail cannot be altered ----------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE core_change SET actor_id = 1",
        "DELETE FROM core_change",
        "TRUNCATE core_change",
        "TRUNCATE lead_management_lead CASCADE",
    ],
)
def test_the_trail_is_append_only_and_nothing_truncated_around_it(statement):
    lead()
    before = Change.objects.count()
    refused = pytest.raises(DatabaseError, match=r"append-only|TRUNCATE")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert Change.objects.count() == before
    assert Lead.objects.count() == 1


# -- transactions -------------------------------------------------------------------------------


def test_a_rollback_leaves_neither_change_nor_outbox_row(admin_user):
    Outbox.objects.all().delete()
    before = Change.objects.count()
    with pytest.raises(OopsError), audit_context(admin_user):
        write_and_fail()
    assert (Change.objects.count(), Outbox.objects.count()) == (before, 0)


def test_a_refused_request_leaves_no_change(api, rep):
    other = lead(owner=rep)
    before = Change.objects.count()
    response = api(rep).patch(f"/api/v1/leads/{other.pk}/", {"owner": None, "assigned_to": None})
    assert response.status_code == 403
    assert Change.objects.count() == before


def test_nested_actors_inherit_what_they_do_not_say_and_the_outer_comes_back(admin_user, rep):
    with audit_context(admin_user, source="api", request_id="r1"):
        lead()
        with audit_context(rep, source="workflow", execution_id=9, depth=1):
            lead()
        lead()
        with audit_context(actor_id=None):
            lead()
    lead()
    found = [(c.actor_id, c.source, c.request_id, c.execution_id, c.depth) for c in changes()]
    assert found == [
        (admin_user.pk, "api", "r1", None, 0),
        (rep.pk, "workflow", "r1", 9, 1),
        (admin_user.pk, "api", "r1", None, 0),
        (None, "api", "r1", None, 0),
        (None, "system", "", None, 0),
    ]


def test_after_an_inner_failure_the_outer_actor_is_in_force_again(admin_user, rep):
    with audit_context(admin_user, source="api"):
        with pytest.raises(OopsError), audit_context(rep, source="workflow"):
            write_and_fail()
        assert current_audit_context().actor_id == admin_user.pk
        lead()
    assert [who(c) for c in changes()] == [("created", "api", admin_user.pk, "")]


def test_a_savepoint_rolled_back_inside_takes_its_changes_and_leaves_the_actor(admin_user):
    with audit_context(admin_user, source="api"):
        lead()
        with pytest.raises(OopsError), transaction.atomic():
            write_and_fail()
        lead()
    assert [who(c)[1:3] for c in changes()] == [("api", admin_user.pk)] * 2


@pytest.mark.django_db(transaction=True)
def test_the_actor_ends_with_the_transaction(make_user):
    user = make_user("rep")
    with audit_context(user, source="api"):
        lead()
    lead()
    assert [who(c)[1:3] for c in changes()] == [("api", user.pk), ("system", None)]


@pytest.mark.django_db(transaction=True)
def test_threads_do_not_act_in_each_others_name(make_user):
    one, two = make_user("rep"), make_user("rep")
    both = threading.Barrier(2)

    def act(user):
        with audit_context(user, source="api"):
            both.wait()
            lead(last_name=user.username)
            both.wait()
        connection.close()

    threads = [threading.Thread(target=act, args=[user]) for user in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = dict(Lead.objects.values_list("pk", "last_name"))
    assert {(names[c.object_id], c.actor_id) for c in changes()} == {
        (one.username, one.pk),
        (two.username, two.pk),
    }
    xids = {c.xid for c in changes()}
    assert len(xids) == 2
