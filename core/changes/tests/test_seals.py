"""The change table is sealed in a chain, and whatever is done to it behind the seals is named."""

import json
import re
from datetime import timedelta
from importlib import import_module
from io import StringIO
from itertools import pairwise

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from backend.database_roles import note_retention
from core import retention
from core.changes import seals
from core.changes.models import AuditSeal, AuditVerification, Change
from core.changes.verifying import verify
from core.jobs import Turn
from core.privacy.models import PrivacyRequest
from core.privacy.tests.working import erased
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def names():
    """Six leads, each by a statement of its own: changes by id."""
    for name in ("Ada", "Bob", "Cleo", "Dan", "Eve", "Fay"):
        LeadFactory(first_name=name, email=f"{name.lower()}@example.com")
    with connection.cursor() as cursor:  # an id that no row has, as of a transaction that was rolled back
        cursor.execute("SELECT nextval('core_change_id_seq')")
    return list(Change.objects.filter(entity="lead").order_by("id").values_list("pk", flat=True))


@pytest.fixture
def superuser():
    """superuser(statement, parameters) → executed as by psql, with the triggers switched off."""
    given = connection.get_connection_params()
    chosen = {name: given[name] for name in ("dbname", "user", "password", "host", "port") if name in given}
    with psycopg.connect(**chosen, autocommit=True) as own:
        own.execute("SET session_replication_role = replica")
        yield own.execute


FUNCTIONS = import_module("core.migrations.0047_audit_seals").FUNCTIONS
HASH_FUNCTION = re.search(r"CREATE FUNCTION core_change_hash.*?\$\$;", FUNCTIONS, re.DOTALL)[0].replace(
    "CREATE", "CREATE OR REPLACE"
)


def sealed(most=seals.MOST):
    return seals.seal(Turn(), most)


def test_all_is_sealed_once_and_nothing_twice(names):
    count = Change.objects.count()
    assert sealed(most=4) == count
    assert sealed() == 0
    chain = list(AuditSeal.objects.order_by("id"))
    assert [s.pk for s in chain] == list(range(1, len(chain) + 1))
    assert sum(s.rows for s in chain) == count
    assert chain[0].first_id == 1
    assert all(after.first_id == before.last_id + 1 for before, after in pairwise(chain))
    Lead.objects.filter(first_name="Ada").update(city="Turin")
    assert sealed() == 1
    found = verify()
    assert (found.problems, found.rows, found.unsealed) == ([], count + 1, 0)
    noted = AuditVerification.objects.get()
    assert (noted.rows, noted.problems, noted.last_seal) == (count + 1, 0, len(chain) + 1)


def test_what_commits_later_with_an_earlier_id_is_sealed_with_the_rest(names, superuser):
    given = connection.get_connection_params()
    chosen = {name: given[name] for name in ("dbname", "user", "password", "host", "port") if name in given}
    with psycopg.connect(**chosen) as slow:
        slow.execute("INSERT INTO lead_management_lead (first_name) VALUES ('Gil')")
        LeadFactory(first_name="Hal")
        sealed()
        assert AuditSeal.objects.count() == 0, "an older transaction still runs"
        slow.commit()
    assert sealed() == Change.objects.count()
    assert verify().problems == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE core_change SET actor_id = 7 WHERE id = {2}",
            "change {2} (lead {third}, created) was changed after seal 1",
        ),
        (
            "UPDATE core_change SET at = at - interval '1 day' WHERE id IN ({3}, {1})",
            "change {1} (lead {second}, created) was changed after seal 1",
        ),
        ("DELETE FROM core_change WHERE id = {2}", "change {2} was removed after seal 1"),
        (
            "INSERT INTO core_change (id, entity, object_id, kind, changes, source)"
            " VALUES ({5} + 1, 'lead', 9, 'deleted', '{{}}', 'api')",
            "change {added} (lead 9, deleted) was added after seal 2",
        ),
        (
            "UPDATE core_change a SET object_id = b.object_id FROM core_change b"
            " WHERE (a.id, b.id) IN (({1}, {2}), ({2}, {1}))",
            "change {1} (lead {third}, created) was changed after seal 1",
        ),
        ("UPDATE core_auditseal SET rows = rows - 1 WHERE id = 1", "seal 1 of"),
        ("UPDATE core_auditseal SET hashes[1] = sha256('') WHERE id = 1", "the hashes that seal 1"),
        ("DELETE FROM core_auditseal WHERE id = 1", "seal 1 was removed"),
        (
            "UPDATE core_auditseal SET ids = NULL, hashes = NULL, salt = NULL WHERE id = 1",
            "lost the hashes of its rows",
        ),
    ],
)
def test_each_kind_of_touch_is_named(names, superuser, statement, said):
    sealed()
    LeadFactory(first_name="Gil")
    sealed()
    assert AuditSeal.objects.count() == 2
    leads = list(Change.objects.filter(pk__in=names).order_by("pk").values_list("object_id", flat=True))
    named = {"second": leads[1], "third": leads[2], "added": names[5] + 1}
    superuser(statement.format(*names))
    found = verify()
    assert said.format(*names, **named) in found.problems[0]
    assert AuditVerification.objects.latest("id").first_problem == found.problems[0]


def test_a_rewritten_chain_is_known_by_an_anchor_and_so_are_seals_that_are_gone(names, superuser, tmp_path):
    sealed()
    LeadFactory(first_name="Gil")
    sealed()
    out = StringIO()
    call_command("audit_anchor", stdout=out)
    kept = tmp_path / "anchors.jsonl"
    kept.write_text(out.getvalue())
    given = json.loads(out.getvalue())
    assert (given["seal"], given["hash"]) == (2, bytes(AuditSeal.objects.get(pk=2).hash).hex())
    call_command("audit_verify", anchor=str(kept), stdout=StringIO())

    newest = Change.objects.latest("id").pk
    superuser("DELETE FROM core_change WHERE id = %s", [newest])
    superuser("DELETE FROM core_auditseal WHERE id = 2")
    call_command("audit_verify", stdout=StringIO())
    with pytest.raises(CommandError, match="seal 2 was removed: an anchor is of seal 2"):
        call_command("audit_verify", anchor=str(kept), stdout=StringIO())
    LeadFactory(first_name="Hal")
    sealed()
    with pytest.raises(CommandError, match=r"seal 2 of .* is not the one that the anchor is of"):
        call_command("audit_verify", anchor=str(kept), stdout=StringIO())


def test_an_erasure_reseals_what_it_changes_and_says_so(names, superuser):
    Lead.objects.filter(first_name="Bob").update(last_name="ada@example.com called")
    sealed(most=4)
    before = {s.pk: bytes(s.hash) for s in AuditSeal.objects.all()}
    request = erased(emails=["ada@example.com"])
    sealed()
    found = verify()
    assert found.problems == []
    said = f"privacy request {request.pk}"
    reasons = {(kind, reason) for _, kind, _, reason in found.reasons}
    assert reasons == {("erased", said), ("erased", f"{said}, its own changes")}
    affected = sum(count for *_, count, reason in found.reasons if reason == said)
    assert affected == sum(request.counts["core_change"].values()) > 0
    # What it wrote and emptied itself was not sealed yet: the chain names it.
    own = AuditSeal.objects.filter(reason__endswith="its own changes")
    assert {pk for s in own for pk in s.unsealed} <= set(
        Change.objects.filter(changes={}).values_list("pk", flat=True)
    )
    # The old links are there, without what would tell the erased values.
    for pk, value in before.items():
        assert bytes(AuditSeal.objects.get(pk=pk).hash) == value
    replaced = AuditSeal.objects.filter(ids__isnull=True, unsealed=[])
    assert replaced.count() == AuditSeal.objects.filter(kind="erased", unsealed=[]).count() > 0
    assert not replaced.exclude(salt=None).exists()
    superuser("UPDATE core_change SET kind = 'updated' WHERE id = %s", [names[3]])
    assert f"change {names[3]} (" in verify().problems[0]


def test_an_erasure_does_not_hide_what_was_touched_before(names, superuser):
    Lead.objects.filter(first_name="Ada").update(city="Turin")
    sealed()
    superuser("UPDATE core_change SET actor_id = 7 WHERE id = %s", [names[2]])
    request = erased(emails=["ada@example.com"])
    [first, *_] = verify().problems
    assert first == (
        f"change {names[2]} had been touched already when {_seal()} was made (privacy request {request.pk})"
    )


def _seal():
    found = AuditSeal.objects.filter(kind="erased", unsealed=[]).first()
    return f"seal {found.pk} of {found.at:%Y-%m-%d %H:%M:%S} UTC"


def test_the_retention_removes_rows_and_says_so(names, superuser, settings):
    old = timezone.now() - timedelta(days=400)
    superuser("UPDATE core_change SET at = %s WHERE id <= %s", [old, names[3]])
    sealed(most=2)
    settings.CRM = settings.CRM | {"CHANGE_DAYS": 30}
    removed = Change.objects.filter(pk__lte=names[3]).count()
    assert retention.prune() == 0, "the owner of the tables has not said so"
    note_retention()
    settings.CRM = settings.CRM | {"CHANGE_DAYS": 1}
    assert retention.prune() == removed
    found = verify()
    assert found.problems == []
    assert sum(count for *_, count, _ in found.reasons) == removed
    assert {(kind, reason) for _, kind, _, reason in found.reasons} == {("pruned", "CHANGE_DAYS=30")}
    in_force = AuditSeal.objects.filter(ids__isnull=False)
    assert in_force.filter(rows=0).count() == 1, "what is empty is one seal"
    superuser("DELETE FROM core_change WHERE id = %s", [names[5]])
    superuser("UPDATE core_changeretention SET days = 60")
    first, *_, last = verify().problems
    assert f"change {names[5]} was removed" in first
    assert "no erasure, no setting and no archive is about it (CHANGE_DAYS=30)" in last
    assert retention.prune() == 0


def test_what_an_erasure_says_and_the_seals_say_is_the_same(names, superuser):
    Lead.objects.filter(first_name="Bob").update(last_name="ada@example.com called")
    sealed()
    request = erased(emails=["ada@example.com"])
    sealed()
    counted = request.counts["core_change"]
    superuser("UPDATE core_privacyrequest SET counts = '{}' WHERE id = %s", [request.pk])
    [found] = verify().problems
    assert found == (
        f"seals say that privacy request {request.pk} rewrote {sum(counted.values())} changes, and it says 0"
    )
    superuser("DELETE FROM core_privacyrequest")
    assert verify().problems[0].endswith("and it says nothing")


def test_an_erasure_takes_values_out_and_puts_none_in(names):
    def rewritten(*changes, request_id="r", pk=names[2]):
        with transaction.atomic(), connection.cursor() as cursor:
            values = [[pk], [json.dumps(changes[0])], [request_id], [""], request.pk]
            cursor.execute("SELECT core_change_rewrite(%s, %s::jsonb[], %s, %s, %s)", values)

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL crm.maintenance = 'on'")
        stood = {"city": ["Ada_s 100% town", None], "Ada": 1}
        cursor.execute(
            "UPDATE core_change SET changes = %s, request_id = 'r' WHERE id = %s",
            [json.dumps(stood), names[2]],
        )
    request = PrivacyRequest.objects.create(kind="erase", status="finished")
    with pytest.raises(DatabaseError, match="for an erasure that is running"):
        rewritten({})
    PrivacyRequest.objects.update(status="running")
    for given in (
        {"city": ["Turin", None]},
        {"city": ["Ada_s 100% town", 2]},
        {"town": [1]},
        {"city": []},
        [],
        None,
    ):
        with pytest.raises(DatabaseError, match="puts none in"):
            rewritten(given)
    with pytest.raises(DatabaseError, match="puts none in"):
        rewritten({}, request_id="another")
    with pytest.raises(DatabaseError, match="0 changes of 1 were found"):
        rewritten({}, pk=names[5] + 1)
    rewritten({"city": ["[erased]_s 100% town", None], "[erased]": 1})
    rewritten({}, request_id="")
    notes = AuditSeal.objects.filter(kind="erased").values_list("unsealed", "affected", "ids")
    assert list(notes) == [([names[2]], 1, None)] * 2, "they were not sealed yet"
    PrivacyRequest.objects.update(counts={"core_change": {"emptied": 2}})
    sealed()
    assert verify().problems == []


def test_every_anchor_counts_and_ids_that_were_never_given_out_are_named(names, superuser):
    sealed()
    right = {"seal": 1, "hash": bytes(AuditSeal.objects.get().hash).hex()}
    wrong = right | {"hash": "00"}
    assert verify(anchors=[right, right]).problems == []
    for given in ([wrong, right], [right, wrong]):
        assert "is not the one that the anchor is of" in verify(anchors=given).problems[0]
    superuser(
        "INSERT INTO core_change (id, entity, object_id, kind, changes, source)"
        " VALUES (1000000, 'lead', 9, 'deleted', '{}', 'api')"
    )
    assert verify().problems == ["change 1000000 has an id that was never given out"]


def test_a_function_that_was_replaced_hides_nothing(names, superuser):
    sealed()
    superuser("UPDATE core_change SET actor_id = 7 WHERE id = %s", [names[2]])
    superuser(
        "CREATE OR REPLACE FUNCTION core_change_hash(c core_change, salt bytea) RETURNS bytea LANGUAGE sql AS"
        " 'SELECT h.hash FROM core_auditseal s, unnest(s.ids, s.hashes) AS h(id, hash) WHERE h.id = c.id'"
    )
    try:
        assert f"change {names[2]} (" in verify().problems[0]
    finally:
        superuser(HASH_FUNCTION)


def test_administrators_read_the_chain_over_the_api_and_in_the_admin(names, admin, make_user, client):
    sealed()
    state = admin.get("/api/v1/audit/seals/state/").json()
    last = AuditSeal.objects.get()
    assert (state["unsealed"], state["last_verification"]) == (0, None)
    assert (state["anchor"]["seal"], state["anchor"]["hash"]) == (1, bytes(last.hash).hex())
    verify()
    assert admin.get("/api/v1/audit/seals/state/").json()["last_verification"]["problems"] == 0
    [listed] = admin.get("/api/v1/audit/seals/?kind=sealed").json()["results"]
    assert (listed["id"], listed["is_in_force"], listed["rows"]) == (1, True, last.rows)
    assert listed["hash"] == state["anchor"]["hash"]
    client.force_login(make_user("admin", is_staff=True))
    for page in ("auditseal/", "auditseal/1/change/", "auditverification/"):
        assert client.get(f"/admin/core/{page}").status_code == 200
