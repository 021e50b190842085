"""Secrets of workflows, webhooks, calendars and tickets: shown once, kept sealed or not at all."""

import json

import pytest
from django.db import connection
from django.utils import timezone

from core.accounts import sessions
from core.accounts.origin import Origin
from core.api.models import IdempotencyKey
from core.notifications.channels import push
from core.outbound import sealing, signing
from core.webhooks import sending
from core.webhooks.models import WebhookAttempt, WebhookDelivery
from core.webhooks.tests.factories import WebhookDeliveryFactory
from core.workflows.models import Workflow, WorkflowStep, WorkflowVersion
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db(transaction=True)
CANARIES = {
    "secret": "canary-of-an-action",
    "authorization": "Bearer canary-of-a-header",
    "x_own": "canary-of-another-header",
    "path": "T0/B0/canary-of-an-address",
}


def call(peer, **params):
    headers = {
        "Authorization": CANARIES["authorization"],
        "X-Own-Thing": CANARIES["x_own"],
        "Content-Type": "application/vnd.own+json",
        "X-Name": "{{ lead.first_name }}",
    }
    return {"url": peer.url(), "secret": CANARIES["secret"], "headers": headers} | params


@pytest.fixture
def saved(admin, peer):
    """A workflow with all there is to hide, saved over the API."""
    made = admin.post(
        "/api/v1/workflows/",
        {
            "name": "Calls", "trigger_type": "record_created", "trigger_conditions": {"model": "lead"},
            "actions": [{"type": "webhook", "params": call(peer)}], "status": "active",
        },
    )  # fmt: skip
    assert made.status_code == 201, made.json()
    return made.json()


def shown_params(document):
    return document["actions"][0]["params"]


def test_headers_of_an_action_are_masked_wherever_they_are_shown(admin, saved, peer, make_lead, settle):
    url = f"/api/v1/workflows/{saved['id']}/"
    masked = {
        "Authorization": "********",
        "X-Own-Thing": "********",
        "X-Name": "********",
        "Content-Type": "application/vnd.own+json",
    }
    versions = admin.get(f"{url}versions/").json()["results"][0]
    for document in (saved, admin.get(url).json(), versions):
        assert shown_params(document)["headers"] == masked
    lead = make_lead()
    settle()
    sending.deliver_due()
    got = peer.requests[0].headers
    assert (got["authorization"], got["x-own-thing"], got["x-name"], got["content-type"]) == (
        CANARIES["authorization"],
        CANARIES["x_own"],
        "Grace",
        "application/vnd.own+json",
    )
    step = admin.get(f"{url}executions/").json()["results"][0]["steps"][0]
    assert step["input"]["headers"] == masked
    delivery = admin.get("/api/v1/webhook-deliveries/").json()["results"][0]
    sent = {k: v for k, v in delivery["log"][0]["request_headers"].items() if k.startswith(("X-", "Auth"))}
    assert sent == {"Authorization": "********", "X-Own-Thing": "********", "X-Name": "********"}
    would = admin.post(f"{url}test/", {"lead_id": lead.pk}).json()["actions"][0]["would"]
    assert would["headers"] == masked


def test_masks_that_come_back_stand_for_what_was_there(admin, saved, peer, make_lead, settle):
    given = shown_params(saved)
    given["headers"]["X-More"] = "more"
    answer = admin.patch(
        f"/api/v1/workflows/{saved['id']}/", {"actions": [{"type": "webhook", "params": given}]}
    )
    assert answer.status_code == 200, answer.json()
    make_lead()
    settle()
    sending.deliver_due()
    got = peer.requests[0].headers
    assert (got["authorization"], got["x-more"]) == (CANARIES["authorization"], "more")
    assert "webhook-signature" in got


def test_a_header_that_reads_what_is_not_there_is_refused(admin, saved, peer):
    params = call(peer, headers={"X-A": "{{ lead.nope }}"})
    answer = admin.patch(
        f"/api/v1/workflows/{saved['id']}/", {"actions": [{"type": "webhook", "params": params}]}
    )
    assert answer.status_code == 400
    assert Workflow.objects.get().version == 1


def test_the_path_of_an_address_is_in_no_history(admin, make_workflow, make_lead, settle, peer):
    make_workflow([("webhook", {"url": peer.url("/" + CANARIES["path"])})])
    make_lead()
    settle()
    step = WorkflowStep.objects.get()
    assert step.output == {"delivery_id": WebhookDelivery.objects.get().pk, "host": peer.host}
    assert step.input["url"] == f"http://{peer.host}/…"


def once(client, url, body=None, key="k"):
    """The answer, and that to its repetition under the same key."""
    first, second = (client.post(url, body or {}, headers={"Idempotency-Key": key}) for _ in range(2))
    assert second.status_code == first.status_code < 300, first.content
    assert second.headers["Idempotency-Replayed"] == "true"
    return first.json(), second.json()


def test_an_answer_with_a_secret_is_repeated_without_it_and_kept_without_it(admin, peer):
    hook = {"name": "W", "url": peer.url(), "events": ["lead.created"]}
    first, second = once(admin, "/api/v1/webhooks/", hook)
    assert first["secret"].startswith("whsec_")
    assert second == {name: value for name, value in first.items() if name != "secret"}
    rotated, again = once(admin, f"/api/v1/webhooks/{first['id']}/rotate_secret/", key="r")
    assert again == {}
    inbound = {
        "name": "In", "trigger_type": "inbound_webhook", "status": "active",
        "actions": [{"type": "stop", "params": {}}],
    }  # fmt: skip
    made, repeated = once(admin, "/api/v1/workflows/", inbound)
    assert "hook_secret" not in repeated
    turned, once_more = once(admin, f"/api/v1/workflows/{made['id']}/rotate_secret/", key="r")
    assert once_more == {"url": turned["url"]}
    feed, later = once(admin, "/api/v1/calendar/")
    assert later == {}
    kept = b"".join(bytes(row.body) for row in IdempotencyKey.objects.all())
    for secret in (first["secret"], rotated["secret"], made["hook_secret"], turned["secret"], feed["url"]):
        assert secret.encode() not in kept


def everything():
    """Every row of every table of ours, as text, by table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        tables = [row[0] for row in cursor.fetchall()]
        for table in tables:
            cursor.execute(f'SELECT t::text FROM "{table}" t')  # noqa: S608
            yield table, "\n".join(row[0] for row in cursor.fetchall())
            cursor.execute(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_name = %s AND data_type = 'bytea'",
                [table],
            )
            for (column,) in cursor.fetchall():
                cursor.execute(f'SELECT "{column}" FROM "{table}"')  # noqa: S608
                yield table, "\n".join(bytes(row[0] or b"").decode("latin-1") for row in cursor.fetchall())


def test_no_table_holds_a_secret_in_clear(admin, admin_user, api, saved, peer, make_lead, settle, client):
    found = dict(CANARIES)
    del found["path"]  # of an address, which is no secret to those who may write workflows
    key = {"Idempotency-Key": "canary-run"}
    hook = {"name": "W", "url": peer.url(), "events": ["lead.created"]}
    webhook = admin.post("/api/v1/webhooks/", hook, headers=key).json()
    found["webhook"] = webhook["secret"]
    found["rotated"] = admin.post(f"/api/v1/webhooks/{webhook['id']}/rotate_secret/", headers=key).json()[
        "secret"
    ]
    inbound = {
        "name": "In", "trigger_type": "inbound_webhook", "status": "active",
        "actions": [{"type": "stop", "params": {}}],
    }  # fmt: skip
    made = admin.post("/api/v1/workflows/", inbound, headers=key).json()
    found["inbound"] = made["hook_secret"]
    found["inbound_rotated"] = admin.post(
        f"/api/v1/workflows/{made['id']}/rotate_secret/", headers=key
    ).json()["secret"]
    found["calendar"] = admin.post("/api/v1/calendar/", headers=key).json()["url"].split("/")[-2]
    body = b'{"a": 1}'
    signed = signing.headers([found["inbound_rotated"]], "msg-1", body)
    answer = client.post(
        made["hook_url"][made["hook_url"].index("/api") :], body, "application/json", headers=signed
    )
    assert answer.status_code == 202, answer.content
    issued = sessions.begin(admin_user, Origin("127.0.0.1", "test"))
    found |= {"access": issued.access, "refresh": issued.refresh}
    signed_in = {"Authorization": f"Bearer {issued.access}"}
    ticket = client.post("/api/v1/notifications/ticket/", "{}", "application/json", headers=signed_in | key)
    assert ticket.status_code == 201, ticket.content
    found["ticket"] = ticket.json()["ticket"]
    keys = {"name": "K", "scopes": ["leads:read"]}
    made_key = client.post(
        "/api/auth/api_keys/", json.dumps(keys), "application/json", headers=signed_in | key
    )
    assert made_key.status_code == 201, made_key.content
    found["api_key"] = next(v for v in made_key.json().values() if str(v).startswith("crm_"))
    push.public_key()
    make_lead()
    settle()
    sending.deliver_due()
    assert WebhookAttempt.objects.exists()
    assert WorkflowVersion.objects.exists()
    kept = list(everything())
    assert any(table == "core_workflowstep" and text for table, text in kept)
    leaks = [(name, table) for table, text in kept for name, secret in found.items() if secret in text]
    assert leaks == []
    assert all("PRIVATE KEY" not in text for _, text in kept)


def test_a_body_that_is_json_text_takes_no_members_from_data(make_workflow, make_lead, settle, peer):
    evil = 'x", "admin": true, "y": "z'
    body = (
        '{"name": "{{lead.first_name}}", "alone": {{lead.city}}, "score": {{lead.lead_score}},'
        ' "tags": {{lead.tags}}, "none": {{lead.next_follow_up_at}}, "note": "a \\"quoted\\" {{lead.city}}"}'
    )
    make_workflow([("webhook", {"url": peer.url(), "body": body})])
    lead = make_lead(first_name=evil, city='1, "admin": true', tags=["a", "b"])
    settle()
    sending.deliver_due()
    lead.refresh_from_db()
    assert json.loads(peer.requests[0].body) == {
        "name": evil,
        "alone": '1, "admin": true',
        "score": lead.lead_score,
        "tags": ["a", "b"],
        "none": None,
        "note": 'a "quoted" 1, "admin": true',
    }


@pytest.mark.parametrize(
    ("content_type", "body", "sent"),
    [
        ("application/x-www-form-urlencoded", "name={{lead.first_name}}&b=1", "name=a%26b%3D2%3Ci%3E&b=1"),
        ("text/xml", "<n>{{lead.first_name}}</n>", "<n>a&amp;b=2&lt;i&gt;</n>"),
        ("text/plain", "{{lead.first_name}}", "a&b=2<i>"),
        ("application/cloudevents+json", '{"n": "{{lead.first_name}}"}', '{"n": "a&b=2<i>"}'),
    ],
)
def test_a_text_body_is_escaped_for_its_content_type(
    make_workflow, make_lead, settle, peer, content_type, body, sent
):
    headers = {"Content-Type": content_type}
    make_workflow([("webhook", {"url": peer.url(), "headers": headers, "body": body})])
    make_lead(first_name="a&b=2<i>")
    settle()
    sending.deliver_due()
    assert peer.requests[0].body.decode() == sent


def test_what_renders_to_no_json_is_not_sent(make_workflow, make_lead, settle, peer):
    make_workflow([("webhook", {"url": peer.url(), "body": '{"a": {{lead.city}}'})])
    make_lead()
    (run,) = settle()
    assert (run.status, run.error_code) == ("failed", "bad_template")
    assert WebhookDelivery.objects.count() == 0


@pytest.mark.parametrize(
    ("template", "as_admin", "as_manager"),
    [
        ("{{ owner.email }}", "ada@crm.example", ""),
        ("{{ lead.owner.email }}", "ada@crm.example", ""),
        ("{{ created_by.email }}", "ada@crm.example", ""),
        ("{{ owner }}", "Ada Byron", "Ada Byron"),
        ("Mr {{ owner }}!", "Mr Ada Byron!", "Mr Ada Byron!"),
        ("{{ user.email }}", "admin@crm.example", "boss@crm.example"),
        ("{% for part in owner %}{{ part }} {% endfor %}", None, None),
    ],
)
def test_templates_show_no_more_of_colleagues_than_the_list_of_users(
    api, make_user, admin_user, make_workflow, template, as_admin, as_manager
):

    ada = make_user("rep", username="ada", first_name="Ada", last_name="Byron")
    boss = make_user("manager", username="boss")
    lead = LeadFactory(first_name="L", owner=ada, assigned_to=boss, created_by=ada)
    admin_user.email = "admin@crm.example"
    admin_user.save()
    for user, wanted in ((admin_user, as_admin), (boss, as_manager)):
        workflow = make_workflow([("add_comment", {"body": f"-{template}"})], trigger="manual", run_as=user)
        answer = api(user).post(f"/api/v1/workflows/{workflow.pk}/test/", {"lead_id": lead.pk}).json()
        body = answer["actions"][0]["would"]["body"]
        made = api(admin_user).post(
            "/api/v1/email-templates/",
            {"key": f"t{user.pk}", "name": "T", "entity": "lead", "subject": "S", "text": f"-{template}"},
        )
        preview = api(user).post(
            f"/api/v1/email-templates/{made.json()['id']}/preview/", {"lead_id": lead.pk}
        )
        if wanted is None:
            assert ("ada@crm.example" in body) is (user is admin_user)
            assert ("ada@crm.example" in preview.json()["text"]) is (user is admin_user)
        else:
            assert body.rstrip() == f"-{wanted}"
            assert preview.json()["text"].rstrip() == f"-{wanted}"


def test_a_person_in_a_json_body_is_a_name(make_workflow, make_lead, settle, peer, admin_user):
    make_workflow(
        [("webhook", {"url": peer.url(), "body": {"who": "{{ owner }}", "id": "{{ lead.owner }}"}})]
    )
    make_lead(owner=admin_user.pk)
    settle()
    sending.deliver_due()
    assert json.loads(peer.requests[0].body) == {"who": admin_user.username, "id": admin_user.pk}


def test_headers_that_were_kept_in_clear_before_still_go_out(peer):
    WebhookDeliveryFactory(
        key="old", event="workflow.webhook", lane="x", url=peer.url(), headers={"X-Old": "plain"}, body="{}",
        due_at=timezone.now(),
    )  # fmt: skip
    sending.deliver_due()
    assert peer.requests[0].headers["x-old"] == "plain"
    assert sealing.unseal("plain") == "plain"
