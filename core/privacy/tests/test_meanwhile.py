"""What happens beside a request: other workers, colleagues, files that are written, kept and lost."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import OperationalError, transaction

from contacts.tests.factories import ContactFactory
from core.activities.models import ActivityRecord
from core.activities.tests.factories import ActivityFactory
from core.entities import locks
from core.privacy import erasing, exporting, jobs, lifecycle, steps
from core.privacy.models import PrivacyRequest
from core.privacy.subject import AskedSubject
from core.privacy.tests.working import erased, worked_on
from core.second_connection import second_connection
from core.transfer import drafts
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
ANN = "ann@x.com"


def stored(name, content=ANN):
    return default_storage.save(name, ContentFile(content))


def try_from_elsewhere(request_id):
    """Whether another worker could have the request's file at this moment."""
    with second_connection() as other:
        key = [locks.PRIVACY_FILE, locks._number(str(request_id))]
        return other.rows("SELECT pg_try_advisory_lock(%s, %s)", key)[0][0]


@pytest.mark.django_db(transaction=True)
def test_one_worker_writes_the_file_and_another_is_no_attempt(files, monkeypatch):
    LeadFactory(first_name="Ann", email=ANN)
    request = lifecycle.begin("export", AskedSubject(emails=(ANN,)), None)
    honest, seen = exporting._document, []

    def slowly(row, counts):
        seen.append((try_from_elsewhere(row.pk), PrivacyRequest.objects.get(pk=row.pk).attempt))
        return honest(row, counts)

    monkeypatch.setattr(exporting, "_document", slowly)
    with second_connection() as other:
        key = [locks.PRIVACY_FILE, locks._number(str(request.pk))]
        other.rows("SELECT pg_advisory_lock(%s, %s)", key)
        assert [jobs.run(request.pk) for _ in range(lifecycle.MAX_ATTEMPTS + 1)] == [""] * 6
    request.refresh_from_db()
    assert (request.status, request.attempt) == ("pending", 0)
    assert worked_on(request).status == "finished"
    assert seen == [(False, 1)]
    assert default_storage.exists(request.stored_as)


def test_an_export_whose_first_step_fails_goes_on(files, monkeypatch):
    LeadFactory(first_name="Ann", email=ANN)
    honest, failed = steps.find_person, []

    def failing(request):
        if not failed:
            failed.append(request.pk)
            raise OperationalError("the database is away")
        honest(request)

    monkeypatch.setattr(steps, "find_person", failing)
    request = erased("export", emails=(ANN,))
    assert (failed, request.status) == ([request.pk], "finished")


def test_what_a_killed_worker_wrote_goes_when_the_request_ends(files, django_capture_on_commit_callbacks):
    request = lifecycle.begin("export", AskedSubject(emails=(ANN,)), None)
    name = stored("privacy/half")
    request.progress = {"table": "", "after": None, "rows": {}, "mentions": {}, "file": name}
    request.save()
    lifecycle.cancel(request)
    with django_capture_on_commit_callbacks(execute=True):
        assert jobs.run(request.pk) == "cancelled"
    assert not default_storage.exists(name)


def test_files_go_with_the_commit_and_stay_without(files, django_capture_on_commit_callbacks):
    name = stored("privacy/whole")
    about = AskedSubject(emails=(ANN,)).as_json()
    PrivacyRequest.objects.create(kind="export", status="finished", subject=about, stored_as=name)
    request = lifecycle.begin("erase", AskedSubject(emails=(ANN,)), None)
    with transaction.atomic():
        assert lifecycle.forget_others(request) == 1
        transaction.set_rollback(True)
    assert default_storage.exists(name)
    with django_capture_on_commit_callbacks(execute=True):
        assert worked_on(request).status == "finished"
    assert not default_storage.exists(name)


def test_a_file_that_is_lost_is_no_file(files, admin):
    request = PrivacyRequest.objects.create(kind="export", status="finished", stored_as="privacy/none")
    answer = admin.get(f"/api/v1/privacy/requests/{request.pk}/download/")
    assert (answer.status_code, answer.json()["detail"]) == (404, lifecycle.NO_FILE)


def test_uploads_that_wait_in_the_wizard_go_too(files, django_capture_on_commit_callbacks):
    name = stored(f"{drafts.FOLDER}/1")
    with django_capture_on_commit_callbacks(execute=True):
        request = erased(emails=(ANN,))
    assert request.counts["files: uploads of imports"] == {"deleted": 1}
    assert not default_storage.exists(name)


def test_what_another_takes_part_in_meanwhile_is_his_too(monkeypatch):
    ann = LeadFactory(first_name="Ann", last_name="Lee", email=ANN)
    bob = ContactFactory(first_name="Bob", last_name="Ray")
    met = ActivityFactory(entity="lead", object_id=ann.pk, subject="Ann Lee and Bob", body="his words")
    honest = erasing._begin_pass

    def begin_and_join(request):
        status = honest(request)
        ActivityRecord.objects.get_or_create(activity=met, entity="contact", object_id=bob.pk)
        return status

    monkeypatch.setattr(erasing, "_begin_pass", begin_and_join)
    assert erased(emails=(ANN,)).status == "finished"
    met.refresh_from_db()
    assert (met.subject, met.body) == ("[erased] and Bob", "his words")
    assert (met.entity, met.object_id) == ("contact", bob.pk)


def test_a_request_that_found_the_address_is_forgotten_with_it():
    """By the record that it named, which is gone, nothing tells that it is the same person's."""
    lead = LeadFactory(first_name="Ann", last_name="Lee", email=ANN)
    named = AskedSubject(records=(("lead", lead.pk),))
    dry = worked_on(lifecycle.begin("erase", named, None, dry_run=True))
    assert dry.found["emails"] == [ANN]
    lead.delete()
    assert erased(emails=(ANN,)).status == "finished"
    dry.refresh_from_db()
    assert (dry.subject, dry.found) == ({}, {})
