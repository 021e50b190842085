"""What is past its time goes, table by table, and what is not stays."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backend.database_roles import note_retention
from core import retention
from core.changes.models import Change
from core.jobs import Turn
from core.tasks import prune
from core.transfer.models import ExportJob, ImportIssue, ImportJob
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
OLD = timezone.now() - timedelta(days=400)
KEPT_BY_OTHERS = {"core_idempotencykey", "core_notification", "core_merge", "core_session"}


@pytest.fixture
def ended(admin_user):
    """ended(model, **fields) → a job that ended long ago."""

    def make(model, **fields):
        return model.objects.create(
            user=admin_user, entity="lead", status="finished", finished_at=OLD, **fields
        )

    return make


def test_jobs_go_with_what_hangs_on_them_and_open_or_new_ones_stay(ended, admin_user):
    old = ended(ImportJob)
    ImportIssue.objects.create(job=old, kind="error")
    undone = ended(ImportJob)
    undoing = ended(ImportJob, kind="undo", undoes=undone)
    ended(ExportJob, format="csv")
    fresh = ended(ExportJob, format="csv", stored_as="exports/1")
    running = ImportJob.objects.create(user=admin_user, entity="lead", status="running")
    assert prune() == 4, "an undoing goes before what it undid"
    assert list(ImportJob.objects.all()) == [running]
    assert list(ExportJob.objects.all()) == [fresh]
    assert ImportIssue.objects.count() == 0
    assert not ImportJob.objects.filter(pk__in=(undone.pk, undoing.pk)).exists()


def test_nought_days_are_for_ever(settings):
    LeadFactory()
    count = Change.objects.count()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL crm.maintenance = 'on'")
        cursor.execute("UPDATE core_change SET at = %s", [OLD])
        cursor.execute("SET LOCAL crm.maintenance = 'off'")
    assert (retention.prune(), Change.objects.count()) == (0, count)
    settings.CRM = settings.CRM | {"CHANGE_DAYS": 30}
    note_retention()
    assert (retention.prune(), Change.objects.count()) == (0, count), "what is not sealed yet stays"


def test_a_turn_that_is_over_deletes_nothing_and_a_batch_is_two_statements_at_most(ended):
    ended(ExportJob, format="csv")
    assert retention.prune(Turn(0)) == 0
    with CaptureQueriesContext(connection) as queries:
        assert retention.prune() == 1
    assert sum("core_exportjob" in one["sql"] for one in queries) == 2, (
        "one batch, and one that finds nothing"
    )


def test_a_table_that_is_kept_for_a_time_is_there():
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
    assert set(retention.retained_tables.keys()) <= tables
    assert KEPT_BY_OTHERS.isdisjoint(retention.retained_tables.keys())
