"""What tests of automation share: workflows by a few words, and everything that waits worked off.

Models are imported inside: pytest reads this file before Django is set up.
"""

import pytest
from aiosmtpd.controller import Controller

from backend.development.embedded import ports


@pytest.fixture
def make_workflow(admin_user):
    """make_workflow([("add_tag", {"tag": "x"})], conditions={}) → an active workflow."""

    from core.workflows.tests.factories import WorkflowFactory

    def make(actions, trigger="record_created", conditions=None, model="lead", **fields):
        settings = fields.pop("settings", {})
        given = {"model": model, "conditions": conditions or {}, **settings} if model else settings
        return WorkflowFactory(
            trigger_type=trigger,
            trigger_conditions=given,
            actions=[{"type": name, "params": params} for name, params in actions],
            **{"run_as": admin_user, "created_by": admin_user, "name": "Test"} | fields,
        )

    return make


@pytest.fixture
def make_lead(admin_user):
    """make_lead(**fields) → a lead, created as by the API."""

    from core.changes import audit_context
    from core.entities import entities, writing

    def make(user=admin_user, **fields):
        with audit_context(user, source="api"):
            data = {"first_name": "Grace", "last_name": "Hopper", "email": "grace@navy.example"}
            return writing.create_from_input(entities["lead"], data | fields, user)

    return make


@pytest.fixture
def change(admin_user):
    """change(record, field=value) → the record changed, as by the API."""

    from core.changes import audit_context
    from core.entities import entities, writing

    def make(record, user=admin_user, **fields):
        entity = entities[record.entity_name]
        with audit_context(user, source="api"):
            locked = writing.locked(entity, record.pk, user)
            return writing.update_from_input(entity, locked, fields, user)

    return make


@pytest.fixture
def settle():
    """Dispatch and run until nothing is due; returns all executions, oldest first."""

    from core.changes.dispatch import dispatch
    from core.workflows import engine
    from core.workflows.models import WorkflowExecution

    def run(rounds=30):
        for _ in range(rounds):
            if not dispatch() + engine.run_due():
                break
        return list(WorkflowExecution.objects.order_by("id"))

    return run


@pytest.fixture
def peer(settings):
    """A receiver on loopback that may be called."""
    from core.tests.receiver import receiver

    with receiver() as found:
        settings.CRM = {"OUTBOUND_ALLOWED_HOSTS": [found.host]}
        yield found


class Mailbox:
    """A real SMTP server on loopback that keeps what it is sent, by envelope; `answers` are its next ones."""

    def __init__(self):
        self.messages = []
        self.answers = []

    async def handle_DATA(self, server, session, envelope):
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            self.messages.append((envelope.rcpt_tos, envelope.content.decode()))
        return answer


@pytest.fixture
def mailbox(settings):
    """A mail server that mail is sent by."""
    found = Mailbox()
    controller = Controller(found, hostname="127.0.0.1", port=ports.any_free())
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", controller.port
    yield found
    controller.stop()
