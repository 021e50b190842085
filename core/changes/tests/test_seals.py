"""The change table is sealed in a chain, and whatever is done to it behind the seals is named."""

import json
from datetime import timedelta
from io import StringIO
from itertools import pairwise

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from core import retention
from core.changes import seals
from core.changes.models import AuditSeal, AuditVerification, Change
from core.changes.verifying import verify
from core.jobs import Turn
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
    reasons = {(kind, reason) for _, kind, _, reason in found.reasons}
    assert reasons == {("erased", f"privacy request {request.pk}")}
    affected = sum(count for _, _, count, _ in found.reasons)
    assert affected == sum(request.counts["core_change"].values()) > 0
    # The old links are there, without what would tell the erased values.
    for pk, value in before.items():
        assert bytes(AuditSeal.objects.get(pk=pk).hash) == value
    replaced = AuditSeal.objects.filter(ids__isnull=True)
    assert replaced.count() == len(found.reasons)
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
    found = AuditSeal.objects.filter(kind="erased").first()
    return f"seal {found.pk} of {found.at:%Y-%m-%d %H:%M:%S} UTC"


def test_the_retention_removes_rows_and_says_so(names, superuser, settings):
    old = timezone.now() - timedelta(days=400)
    superuser("UPDATE core_change SET at = %s WHERE id <= %s", [old, names[3]])
    sealed(most=2)
    settings.CRM = settings.CRM | {"CHANGE_DAYS": 30}
    removed = Change.objects.filter(pk__lte=names[3]).count()
    assert retention.prune() == removed
    found = verify()
    assert found.problems == []
    assert sum(count for *_, count, _ in found.reasons) == removed
    assert {(kind, reason) for _, kind, _, reason in found.reasons} == {("pruned", "CHANGE_DAYS=30")}
    in_force = AuditSeal.objects.filter(ids__isnull=False)
    assert in_force.filter(rows=0).count() == 1, "what is empty is one seal"
    superuser("DELETE FROM core_change WHERE id = %s", [names[5]])
    assert f"change {names[5]} was removed" in verify().problems[0]
    assert retention.prune() == 0


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
