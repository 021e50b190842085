"""Nothing that opens a door and nothing that is said to a customer is in any log, whatever goes wrong."""

import json
import logging

import pytest

from backend.logs import JsonFormatter, LineFormatter
from core.accounts import keys
from core.mail import sending as mail
from core.transfer.tests.uploads import upload
from core.webhooks import sending
from core.workflows.models import WorkflowExecution

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "canary-password-of-somebody-4711"
HEADER = "Bearer canary-of-a-header"
SECRET = "canary-secret-of-an-action"
BODY = "canary-body-of-a-mail"
CELL = "canary-cell-of-a-file"
ADDRESS = "canary-address@x.example"


class Collected(logging.Handler):
    """Every record, as it is written in production and in development."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []

    def emit(self, record):
        if record.name == "mail.log":  # the SMTP server of these tests, which is the receiver's and not ours
            return
        self.lines += [JsonFormatter().format(record), LineFormatter().format(record)]


@pytest.fixture
def collected():
    handler, root = Collected(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def test_no_log_holds_a_secret_or_what_is_said_to_customers(
    collected, client, admin, admin_user, make_user, make_workflow, make_lead, settle, peer, mailbox
):
    logging.getLogger("core").warning("collected")
    user = make_user("rep", username="canary", password=PASSWORD)
    sign_in = {"username": user.username, "password": PASSWORD}
    issued = client.post("/api/auth/login/", sign_in, "application/json").json()
    client.post("/api/auth/login/", sign_in | {"password": f"{PASSWORD}x"}, "application/json")
    key = keys.make(admin_user, "k", ["read"])[1]
    client.get("/api/v1/leads/", HTTP_AUTHORIZATION=f"Bearer {key}")
    client.get("/api/v1/leads/", HTTP_AUTHORIZATION=f"Bearer {key}x")
    client.get(f"/api/v1/leads/?token={issued['access']}&nothing={ADDRESS}")
    hook = {"name": "h", "url": peer.url(), "events": ["lead.created"]}
    secret = admin.post("/api/v1/webhooks/", hook, format="json").json()["secret"]
    call = {"url": peer.url(), "secret": SECRET, "headers": {"Authorization": HEADER}}
    make_workflow(
        [
            ("send_email", {"subject": "s", "body": BODY, "to": "{{lead.email}}"}),
            ("webhook", call),
            ("add_tag", {"tag": "{{ lead.first_name | nothing }}"}),
        ]
    )
    make_lead(email=ADDRESS)
    mailbox.answers = ["550 No such user"]
    settle()
    mail.send_due()
    sending.deliver_due()
    assert WorkflowExecution.objects.exists()
    upload(admin, f"first_name,email,estimated_value\n{CELL},broken,nonsense\n", skip_errors=True)
    admin.post("/api/v1/leads/", {"email": "not an address", "notes": CELL}, format="json")
    twin = {"first_name": "A", "external_id": ADDRESS}
    for _ in range(2):
        admin.post("/api/v1/leads/", twin, format="json")
    text = "\n".join(collected.lines)
    assert "collected" in text
    canaries = [
        PASSWORD,
        HEADER,
        SECRET,
        BODY,
        CELL,
        ADDRESS,
        key,
        secret,
        issued["access"],
        issued["refresh"],
    ]
    assert [word for word in canaries if word in text or json.dumps(word)[1:-1] in text] == []


def test_the_values_in_an_error_of_the_database_are_hidden():
    message = (
        'duplicate key value\nDETAIL:  Key (email)=(ada@x.example) already exists.\nCONTEXT:  COPY x: "a"'
    )
    record = logging.makeLogRecord({"msg": "refused by a constraint: %s", "args": (message,)})
    for formatter in (LineFormatter(), JsonFormatter()):
        text = formatter.format(record)
        assert "ada@x.example" not in text
        assert "duplicate key value" in text
        assert "COPY x" not in text
