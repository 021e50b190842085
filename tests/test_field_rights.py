"""What is hidden from a role stands in no answer of any route, and what it may only read no route writes.

The canary is the value of a field of each entity's own and of a custom field of each. A rep owns the records;
the fields are hidden from reps. An administrator is given the canary by the same routes, so that the walk
would find it.
"""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from core.accounts import sessions
from core.accounts.origin import Origin
from core.activities.models import ActivityRecord
from core.activities.tests.factories import ActivityFactory, CommentFactory
from core.changes import audit_context
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory, FieldRightFactory, SavedViewFactory
from core.entities import entities
from core.errors import InvalidError, ValueRefusedError
from core.notifications import preferences
from core.notifications.digest import collected, period_of
from core.transfer.tests.uploads import upload
from core.webhooks.composing import body_of
from core.webhooks.models import WebhookDelivery, WebhookSubscription
from core.workflows import templating
from core.workflows.models import Workflow, WorkflowExecution
from core.workflows.run_context import RunContext
from opportunities.models import OpportunityContact
from tasks.calendar import calendar
from tasks.models import TaskRecord
from tests.records import FACTORIES, record
from tests.test_routes import WORDS, rows

pytestmark = pytest.mark.django_db
CANARY = "Canary"
# The hidden text of each entity.
OWN = {
    "lead": "job_title",
    "contact": "job_title",
    "company": "address",
    "opportunity": "next_step",
    "task": "description",
}
KEY = "secret"


@pytest.fixture
def rep(make_user):
    return make_user("rep", is_staff=True)


@pytest.fixture
def boss(make_user):
    return make_user("admin", is_staff=True)


@pytest.fixture
def found(rep, admin_user, settings):
    """A record of the rep's of each entity, twice changed in what is hidden, by its name."""
    settings.RATE_LIMIT_ENABLED = False
    made = {}
    for name in FACTORIES:
        CustomFieldFactory(entity=name, key=KEY, searchable=True)
        with audit_context(admin_user, source="api"):
            one = record(name, "Ada", owner=rep, assigned_to=rep)
            values = {OWN[name]: f"{CANARY} of a {name}", "custom_fields": {KEY: f"{CANARY} {name}"}}
            type(one).objects.filter(pk=one.pk).update(**values)
            type(one).objects.filter(pk=one.pk).update(**{OWN[name]: f"{CANARY} again"})
            CommentFactory(entity=name, object_id=one.pk, author=admin_user)
        made[name] = one
    _link(made)
    return made


def _link(made):
    """Each stands among what belongs to the others."""
    company, contact = made["company"], made["contact"]
    type(contact).objects.filter(pk=contact.pk).update(company=company)
    deals, tasks = type(made["opportunity"]).objects, type(made["task"]).objects
    deals.filter(pk=made["opportunity"].pk).update(company=company, contact=contact)
    tasks.filter(pk=made["task"].pk).update(company=company, due_date=timezone.now())


@pytest.fixture
def hidden(found):
    _limit("hidden")


@pytest.fixture
def locked(found):
    _limit("read_only")


def _limit(access):
    for name, field in OWN.items():
        FieldRightFactory(entity=name, field=field, access=access)
        FieldRightFactory(entity=name, field=f"custom_fields.{KEY}", access=access)


def signed_in(user):
    client = APIClient()
    issued = sessions.begin(user, Origin("127.0.0.1", "test"))
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.access}")
    client.raise_request_exception = False
    return client


def addresses(found):
    """Every route that is read, about the records where it is about one."""
    ids = {entities[name].plural: one.pk for name, one in found.items()}
    for method, path in sorted(rows()):
        if method != "GET":
            continue
        parts = []
        for part in path.split("/"):
            name = part.strip("{}")
            parts.append(part if name == part else str(WORDS.get(name, ids.get(parts[-1], 1))))
        yield "/".join(parts)
    for plural in ids:
        yield f"/api/v1/{plural}/?expand=owner&search=ada"
        yield f"/api/v1/export/{plural}/"
        yield f"/api/v1/export/{plural}/?format=jsonl"
        yield f"/api/v1/import/{plural}/template/"
    yield f"/api/v1/leads/{found['lead'].pk}/history/?field=custom_fields"
    yield "/api/v1/search/?q=ada"
    yield "/api/v1/export/leads/?fields=id,factors"
    yield "/api/v1/export/tasks/?fields=id,records"
    yield "/api/v1/export/opportunities/?fields=id,contacts"


def bytes_of(response):
    return b"".join(response.streaming_content) if response.streaming else response.content


def showing(client, found, word=CANARY):
    """The addresses whose answers hold the canary, or another word."""
    return {at for at in addresses(found) if word.lower().encode() in bytes_of(client.get(at)).lower()}


def pages_showing(client, found, word=CANARY):
    """The pages of the admin site that hold it, by their names or the entity's and what they are of it."""
    pages = {"index": reverse("admin:index")}
    for name, one in found.items():
        admin = f"admin:{one._meta.app_label}_{one._meta.model_name}"
        for page in ("change", "history"):
            pages[f"{name} {page}"] = reverse(f"{admin}_{page}", args=[one.pk])
        pages[f"{name} list"] = reverse(f"{admin}_changelist")
        if name in ("lead", "opportunity", "task"):
            pages[f"{name} board"] = reverse(f"{admin}_board")
    held = set()
    for name, page in pages.items():
        response = client.get(page)
        assert response.status_code == 200, page
        if word in response.content.decode():
            held.add(name)
    return held


def test_no_answer_of_any_route_holds_what_is_hidden(rep, admin, found, hidden):
    for name in found:
        plural = entities[name].plural
        assert signed_in(rep).get(f"/api/v1/{plural}/{found[name].pk}/").status_code == 200
    assert showing(signed_in(rep), found) == set()
    shown_to = showing(admin, found)
    for name, one in found.items():
        plural = entities[name].plural
        assert {
            f"/api/v1/{plural}/",
            f"/api/v1/{plural}/{one.pk}/",
            f"/api/v1/{plural}/{one.pk}/history/",
            f"/api/v1/{plural}/{one.pk}/timeline/",
            f"/api/v1/export/{plural}/",
            f"/api/v1/export/{plural}/?format=jsonl",
        } <= shown_to


@pytest.mark.django_db(transaction=True)
def test_the_change_feed_holds_nothing_that_is_hidden(rep, admin, found, hidden):
    answers = [client.get("/api/v1/changes/", {"entity": "lead"}) for client in (signed_in(rep), admin)]
    assert [len(answer.json()["results"]) for answer in answers] == [3, 3]
    assert [CANARY.encode() in answer.content for answer in answers] == [False, True]


def test_search_finds_nothing_by_what_is_hidden(rep, admin, found, hidden):
    for client, most in ((signed_in(rep), 0), (admin, 1)):
        for name in found:
            url = f"/api/v1/{entities[name].plural}/"
            assert len(client.get(url, {"search": f"{CANARY} {name}"}).json()["results"]) == most
        hits = client.get("/api/v1/search/", {"q": CANARY}).json()["results"]
        assert bool(hits) == bool(most)


def test_nor_does_the_search_of_the_admin_site(client, rep, boss, found, hidden):
    for user, most in ((rep, 0), (boss, 1)):
        client.force_login(user)
        for name, one in found.items():
            meta = type(one)._meta
            url = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
            assert client.get(url, {"q": f"{CANARY} {name}"}).context["cl"].result_count == most
        refused = client.get(reverse("admin:lead_management_lead_changelist"), {"job_title__startswith": "C"})
        assert refused.status_code == (400 if user == rep else 200)


def test_no_page_of_the_admin_site_holds_what_is_hidden(client, rep, boss, found, hidden):
    client.force_login(rep)
    assert pages_showing(client, found) == set()
    client.force_login(boss)
    assert len(pages_showing(client, found)) >= 2 * len(found)


def test_what_is_saved_in_the_admin_site_keeps_what_is_hidden(client, rep, found, hidden):
    lead = found["lead"]
    client.force_login(rep)
    url = reverse("admin:lead_management_lead_change", args=[lead.pk])
    form = client.get(url).context["adminform"].form
    assert not {OWN["lead"], f"custom__{KEY}"} & set(form.fields)
    data = {name: "" if form[name].value() is None else form[name].value() for name in form.fields}
    data |= {f"{name}_{n}": "" for name in form.fields for n in (0, 1) if name.endswith("_at")}
    data["tags"] = ""
    response = client.post(url, data | {"last_name": "Byron"})
    assert response.status_code == 302, response.context["errors"]
    lead.refresh_from_db()
    assert lead.last_name == "Byron"
    assert (lead.job_title, lead.custom_fields) == (f"{CANARY} again", {KEY: f"{CANARY} lead"})


def test_a_webhook_hears_what_its_owner_may_see(rep, admin_user, found, hidden):
    change = Change.objects.filter(entity="lead", kind="updated").latest("id")
    bodies = {}
    for owner in (rep, admin_user):
        subscription = WebhookSubscription(
            name=owner.username, owner=owner, url="https://example.com", events=["lead.*"], payload="full"
        )
        delivery = WebhookDelivery(
            subscription=subscription, event="lead.updated", entity="lead", change_id=change.pk
        )
        bodies[owner] = body_of(delivery)
    assert CANARY not in bodies[rep]
    assert CANARY in bodies[admin_user]


def test_a_read_only_field_is_written_by_no_route(rep, found, locked):
    client = signed_in(rep)
    for name, one in found.items():
        url = f"/api/v1/{entities[name].plural}/"
        for body, field in (
            ({OWN[name]: "new"}, OWN[name]),
            ({"custom_fields": {KEY: "new"}}, f"custom_fields.{KEY}"),
        ):
            for answer in (
                client.patch(f"{url}{one.pk}/", body),
                client.post(f"{url}bulk_update/", {"ids": [one.pk], "action": "update", "data": body}),
            ):
                assert answer.status_code == 400, answer.content
                issues = [(e["field"].removeprefix("data."), e["code"]) for e in answer.json()["errors"]]
                assert issues == [(field, "read_only")]
        shown = client.get(f"{url}{one.pk}/").json()
        assert shown[OWN[name]] == f"{CANARY} again"
        assert client.patch(f"{url}{one.pk}/", {OWN[name]: shown[OWN[name]]}).status_code == 200
        one.refresh_from_db()
        assert getattr(one, OWN[name]) == f"{CANARY} again"
        assert one.custom_fields == {KEY: f"{CANARY} {name}"}


def test_a_calendar_holds_nothing_that_is_hidden(rep, admin_user, found, hidden):
    assert CANARY.encode() not in calendar(rep)
    type(found["task"]).objects.filter(pk=found["task"].pk).update(assigned_to=admin_user)
    assert CANARY.encode() in calendar(admin_user)


def test_a_digest_says_nothing_that_is_hidden(rep, found):
    def said():
        readers = preferences.load([rep.pk]).values()
        now = timezone.now()
        return str(collected(period_of(readers, now.date(), now + timedelta(hours=1), timedelta(days=1))))

    type(found["lead"]).objects.update(company_name=CANARY)
    assert CANARY in said()
    FieldRightFactory(field="company_name")
    assert CANARY not in said()


def workflow(**changes):
    say = {"type": "add_comment", "params": {"body": "Called {{ lead.first_name }}"}}
    return {
        "name": "Say",
        "trigger_type": "record_updated",
        "trigger_conditions": {"model": "lead"},
        "actions": [say],
    } | changes


@pytest.mark.parametrize("field", [OWN["lead"], f"custom_fields.{KEY}"])
def test_a_workflow_that_names_what_is_hidden_from_whom_it_acts_as_is_refused(make_user, admin, found, field):
    manager = make_user("manager")
    FieldRightFactory(role="manager", field=field)
    wrong = {
        "template": {"actions": [{"type": "add_comment", "params": {"body": f"{{{{ lead.{field} }}}}"}}]},
        "action": {"actions": [{"type": "update_field", "params": {"field": field, "value": "x"}}]},
        "condition": {
            "trigger_conditions": {"model": "lead", "conditions": {"field": field, "op": "eq", "value": "x"}}
        },
    }
    for changes in wrong.values():
        assert signed_in(manager).post("/api/v1/workflows/", workflow(**changes)).status_code == 400
        run_as = admin.post("/api/v1/workflows/", workflow(run_as=manager.pk, **changes))
        assert run_as.status_code == 400
        assert admin.post("/api/v1/workflows/", workflow(**changes)).status_code == 201
    assert signed_in(manager).post("/api/v1/workflows/", workflow()).status_code == 201


def test_a_step_that_reads_what_is_hidden_by_now_fails_and_says_so(rep, admin_user, found, hidden):
    run = WorkflowExecution(workflow=Workflow(name="Say"), entity="lead", object_id=found["lead"].pk)
    for template in ("{{ lead.job_title }}", "{{ lead.custom_fields.secret }}"):
        assert CANARY in templating.value(template, RunContext(run, admin_user).context)
        with pytest.raises(ValueRefusedError, match="hidden from whom") as refused:
            templating.value(template, RunContext(run, rep).context)
        assert refused.value.code == "unknown_field"
    conditions = {"field": OWN["lead"], "op": "is_empty", "value": False}
    assert RunContext(run, admin_user).meets(conditions)
    with pytest.raises(InvalidError, match="Unknown field"):
        RunContext(run, rep).meets(conditions)


FILE = "First name,Job title,Secret\nEve,CEO,open\n"


def test_an_import_takes_no_column_that_is_hidden(rep, found, hidden):
    client = signed_in(rep)
    assert not {OWN["lead"], f"custom_fields.{KEY}"} & set(
        bytes_of(client.get("/api/v1/import/leads/template/")).decode().strip().split(",")
    )
    shown = upload(client, FILE, path="preview/").json()
    assert shown["unmapped"] == ["Job title", "Secret"]
    refused = upload(client, FILE, mapping={"First name": "first_name", "Job title": "job_title"})
    assert refused.status_code == 400
    assert [e["code"] for e in refused.json()["errors"]] == ["unknown_field"]


def test_an_import_says_which_columns_may_only_be_read(rep, found, locked):
    client = signed_in(rep)
    shown = upload(client, FILE, path="preview/").json()
    assert [column["reason"] for column in shown["columns"]] == ["name", "read-only", "read-only"]
    assert [one["code"] for one in shown["warnings"]].count("read_only") == 2
    refused = upload(client, FILE, mapping={"First name": "first_name", "Job title": "job_title"})
    assert [e["code"] for e in refused.json()["errors"]] == ["read_only"]
    assert upload(client, FILE).json()["created"] == 1
    eve = type(found["lead"]).objects.get(first_name="Eve")
    assert (eve.job_title, eve.custom_fields) == ("", {})


ADDRESS = "hush@quiet.example"


@pytest.fixture
def nameless(rep, admin_user, settings):
    """A record of each entity; the lead and the contact are called by their address alone, which is hidden
    from reps, and stand as first and further records of a task, an activity and a deal."""
    settings.RATE_LIMIT_ENABLED = False
    with audit_context(admin_user, source="api"):
        person = {"first_name": "", "last_name": "", "email": ADDRESS}
        own = {"lead": person, "contact": person}
        made = {
            name: make(owner=rep, assigned_to=rep, **own.get(name, {})) for name, make in FACTORIES.items()
        }
        _refer(made, rep)
    for name in ("lead", "contact"):
        FieldRightFactory(entity=name, field="email")
    return made


def _refer(made, author):
    """To the lead and the contact, in every way that there is."""
    lead, contact, deal, task = (made[name] for name in ("lead", "contact", "opportunity", "task"))
    type(task).objects.filter(pk=task.pk).update(contact=contact, due_date=timezone.now())
    TaskRecord.objects.create(task=task, entity="lead", object_id=lead.pk)
    activity = ActivityFactory(record=deal, author=author)
    for one in (lead, contact):
        ActivityRecord.objects.create(activity=activity, entity=one.entity_name, object_id=one.pk)
    type(deal).objects.filter(pk=deal.pk).update(contact=contact)
    OpportunityContact.objects.update_or_create(
        opportunity=deal, contact=contact, defaults={"role": "decision_maker"}
    )
    type(lead).objects.filter(pk=lead.pk).update(
        status="converted", converted_at=timezone.now(), converted_contact=contact
    )


def test_no_answer_calls_a_record_by_a_hidden_address(rep, admin, nameless):
    assert showing(signed_in(rep), nameless, ADDRESS) == set()
    shown = showing(admin, nameless, ADDRESS)
    deal, task = nameless["opportunity"], nameless["task"]
    assert {
        f"/api/v1/tasks/{task.pk}/",
        f"/api/v1/opportunities/{deal.pk}/timeline/",
        f"/api/v1/opportunities/{deal.pk}/contacts/",
        "/api/v1/export/tasks/?fields=id,records",
        "/api/v1/export/opportunities/?fields=id,contacts",
        "/api/v1/tasks/",
        "/api/v1/activities/",
    } <= shown
    client = signed_in(rep)
    further = client.get(f"/api/v1/tasks/{task.pk}/").json()["records"]
    assert [one["name"] for one in further] == [f"lead {nameless['lead'].pk}"]
    assert client.get("/api/v1/search/", {"q": ADDRESS}).json()["results"] == []
    expanded = client.get("/api/v1/tasks/", {"expand": "contact"}).json()["results"]
    assert [one["contact"]["name"] for one in expanded] == [f"contact {nameless['contact'].pk}"]


def test_no_page_of_the_admin_site_calls_a_record_by_a_hidden_address(client, rep, boss, nameless):
    client.force_login(boss)
    assert {
        *("lead change", "lead list", "lead board", "contact change", "contact list"),
        *("task change", "task list", "task board", "opportunity change"),
    } <= pages_showing(client, nameless, ADDRESS)
    client.force_login(rep)
    assert pages_showing(client, nameless, ADDRESS) == set()
    called = f"contact {nameless['contact'].pk}"
    assert {
        "index",
        "contact list",
        "lead change",
        "task change",
        "task list",
        "task board",
        "opportunity change",
    } <= pages_showing(client, nameless, called)


def test_the_admin_site_calls_what_one_does_not_see_by_its_id(client, rep, boss, nameless):
    foreign = FACTORIES["contact"](first_name="Zebulon", owner=boss)
    company = FACTORIES["company"](name="Zebulon Works", owner=boss)
    for name in ("task", "opportunity"):
        rows = type(nameless[name]).objects.filter(pk=nameless[name].pk)
        rows.update(contact=foreign, company=None if name == "task" else company)
    client.force_login(boss)
    assert {"task list", "task board", "task change", "opportunity board", "opportunity change"} <= (
        pages_showing(client, nameless, "Zebulon")
    )
    client.force_login(rep)
    assert pages_showing(client, nameless, "Zebulon") == set()
    assert {"task list", "task board", "task change"} <= pages_showing(
        client, nameless, f"contact {foreign.pk}"
    )
    chosen = reverse("admin:opportunities_opportunity_changelist")
    answer = client.get(chosen, {"company__id__exact": company.pk})
    assert "Zebulon" not in answer.content.decode()
    assert f"company {company.pk}" in answer.content.decode()


def test_a_right_on_one_of_two_fields_that_a_rule_moves_values_between_is_one_on_both(rep, nameless):
    contact = nameless["contact"]
    client, url = signed_in(rep), f"/api/v1/contacts/{contact.pk}/"
    assert not {"email", "additional_emails"} & set(client.get(url).json())
    refused = client.patch(url, {"additional_emails": [ADDRESS]})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "unknown_field")
    FieldRightFactory(entity="contact", field="additional_phones", access="read_only")
    client = signed_in(rep)
    for values in ({"phone": "+49 30 1234567"}, {"additional_phones": ["+49 30 1234567"]}):
        refused = client.patch(url, values)
        assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [(*values, "read_only")]
    contact.refresh_from_db()
    assert (contact.email, contact.additional_emails, contact.phone) == (ADDRESS, [], "")


def test_words_with_typing_errors_are_not_ranked_by_what_is_hidden(rep, found):
    FieldRightFactory(field="company_name")
    by_name = FACTORIES["lead"](owner=rep, last_name="Engelhardt")
    by_hidden = FACTORIES["lead"](owner=rep, last_name="Engelhrt", company_name="Engelhart")
    hits = signed_in(rep).get("/api/v1/search/", {"q": "Engelhart"}).json()["results"]
    assert [hit["id"] for hit in hits] == [by_name.pk, by_hidden.pk]


def test_a_saved_view_of_hidden_columns_alone_shows_the_ids(rep, found):
    view = SavedViewFactory(owner=rep, fields=[OWN["lead"]])
    FieldRightFactory(field=OWN["lead"])
    answer = signed_in(rep).get("/api/v1/leads/", {"view": view.pk})
    assert answer.json()["results"] == [{"id": found["lead"].pk}]


def test_an_import_finds_nobody_by_an_address_that_is_hidden(rep):
    known = record("contact", "Ann", email="ann@rivers.example", owner=rep)
    FieldRightFactory(role="rep", entity="contact", field="email")
    text = "Name,contact.email\nFirst,ann@rivers.example\nSecond,nobody@rivers.example\n"
    answer = upload(signed_in(rep), text, "opportunities").json()
    assert (answer["created"], answer["warned"]) == (2, 2)
    assert not entities["opportunity"].model.objects.filter(contact=known).exists()
