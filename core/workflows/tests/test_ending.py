"""Who was told to end takes up nothing more, in the worker and in the processes it forked."""

import os

import pytest

from core import jobs, tasks
from core.changes.dispatch import dispatch
from core.mail import sending as mailing
from core.mail.models import EmailMessage
from core.mail.tests.factories import EmailMessageFactory
from core.workflows.models import WorkflowExecution

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked_to_end():
    jobs.request_shutdown()
    yield
    jobs._shutdown_flag[0] = 0


def test_a_worker_that_ends_takes_up_no_run_and_no_mail(make_workflow, make_lead, asked_to_end):
    make_workflow([("send_email", {"subject": "x", "body": "y", "to": "z@x.example"})])
    make_lead()
    dispatch()
    assert tasks.run_workflows() == 0
    assert WorkflowExecution.objects.get().status == "queued"
    EmailMessageFactory(key="m", subject="x", text="y", to=["z@x.example"])
    assert tasks.send_mail() == 0
    assert EmailMessage.objects.get().attempts == 0


def test_what_was_claimed_and_not_begun_is_given_back(make_workflow, make_lead, monkeypatch):
    for name in "abc":
        make_workflow([("add_tag", {"tag": name})], name=name)
    make_lead()
    dispatch()
    answers = iter([False, False])
    monkeypatch.setattr(jobs, "shutting_down", lambda: next(answers, True))
    tasks.run_workflows()
    states = WorkflowExecution.objects.order_by("id").values_list("status", "lost_leases")
    assert list(states) == [("completed", 0), ("queued", 0), ("queued", 0)]


def test_mail_that_was_claimed_and_not_begun_is_given_back(mailoutbox):
    for key in "abc":
        EmailMessageFactory(key=key, subject=key, text="y", to=["z@x.example"])
    answers = iter([False, False])
    mailing.send_due(stopped=lambda: next(answers, True))
    assert [mail.subject for mail in mailoutbox] == ["a"]
    rest = EmailMessage.objects.filter(status="queued").order_by("id").values_list("attempts", flat=True)
    assert list(rest) == [0, 0]
    mailing.send_due()
    assert [mail.subject for mail in mailoutbox] == ["a", "b", "c"]


def test_a_process_forked_before_hears_of_it_too():
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.read(reading, 1)
        os._exit(7 if jobs.shutting_down() else 1)
    jobs.request_shutdown()
    os.write(writing, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    jobs._shutdown_flag[0] = 0
