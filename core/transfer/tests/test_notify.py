"""Who started an import in the background is told how it ended, once."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from core.notifications.models import Notification
from core.transfer.models import ImportJob
from core.transfer.running import fail, run_job


def postponed(api, user, settings, text):
    """A job that a worker will do, because it is larger than what is answered at once."""
    settings.CRM = {"IMPORT_ROWS_AT_ONCE": 0}
    file = SimpleUploadedFile("leads.csv", text.encode(), "text/csv")
    answer = api(user).post("/api/v1/import/leads/", {"file": file}, format="multipart")
    assert answer.status_code == 202, answer.json()
    return ImportJob.objects.get()


def notified(user):
    return list(Notification.objects.filter(recipient=user).values_list("type", "title", "body"))


@pytest.mark.django_db(transaction=True)
def test_a_finished_import_is_notified_with_its_figures(api, rep, settings):
    job = postponed(api, rep, settings, "first_name,email\nA,a@x.example\nB,broken\n")
    run_job(job.pk)
    assert notified(rep) == [("import_finished", "Your import of leads has finished", "1 created, 1 failed")]
    assert run_job(job.pk) == ""
    assert len(notified(rep)) == 1


@pytest.mark.django_db
def test_a_failed_import_is_notified_too(api, rep, settings):
    job = postponed(api, rep, settings, "first_name\nA\n")
    fail(job.pk, RuntimeError("disk"))
    ((kind, title, body),) = notified(rep)
    assert (kind, title) == ("import_finished", "Your import of leads has failed")
    assert body == "Something went wrong on our side; nothing of it was kept."


@pytest.mark.django_db
def test_what_is_answered_at_once_is_not_notified_again(api, rep):
    file = SimpleUploadedFile("leads.csv", b"first_name\nA\n", "text/csv")
    assert api(rep).post("/api/v1/import/leads/", {"file": file}, format="multipart").status_code == 200
    assert notified(rep) == []
