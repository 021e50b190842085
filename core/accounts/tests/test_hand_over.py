"""Handing over what somebody has before they go, and what is in use before it goes."""

import pytest

from contacts.tests.factories import CompanyFactory, ContactFactory
from core.accounts.models import User
from core.accounts.tests.factories import TeamFactory
from core.conditions.models import SavedView
from core.customization.tests.factories import CustomFieldFactory, SavedViewFactory
from core.entities.models import CustomField
from core.mail.models import EmailTemplate
from core.mail.tests.factories import EmailTemplateFactory
from core.notifications.models import Notification
from core.webhooks.models import WebhookSubscription
from core.webhooks.tests.factories import WebhookSubscriptionFactory
from core.workflows.models import Workflow
from core.workflows.tests.factories import WorkflowFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.models import Pipeline, Stage
from opportunities.tests.factories import OpportunityFactory, PipelineFactory, StageFactory
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
USERS = "/api/v1/users/"


def workflow(user, **fields):
    fields = {"name": "Welcome", "status": "active", "run_as": user, "created_by": user} | fields
    fields.setdefault("trigger_type", "record_created")
    fields.setdefault("trigger_conditions", {"model": "lead", "conditions": {}})
    fields.setdefault("actions", [{"type": "add_tag", "params": {"tag": "new"}}])
    return WorkflowFactory(**fields)


def issues(answer):
    return {issue["field"] for issue in answer.json()["errors"]}


@pytest.fixture
def leaver(make_user):
    """A manager with records, open and closed, with automation, and named by somebody else's."""
    user, other = make_user("manager"), make_user("admin")
    pipeline = Pipeline.objects.get(is_default=True)
    LeadFactory(first_name="own", owner=user, assigned_to=user)
    LeadFactory(first_name="assigned", owner=other, assigned_to=user)
    LeadFactory(first_name="lost", owner=user, status="lost", lost_reason="price")
    ContactFactory(first_name="c", owner=user)
    CompanyFactory(name="co", owner=user)
    OpportunityFactory(name="open", owner=user, pipeline=pipeline, stage="proposal")
    OpportunityFactory(name="won", owner=user, pipeline=pipeline, stage="closed_won")
    TaskFactory(title="todo", assigned_to=user, owner=other)
    TaskFactory(title="done", assigned_to=user, owner=other, status="completed")
    workflow(user, name="own")
    assign = {"type": "assign_record", "params": {"users": [user.pk, other.pk]}}
    workflow(
        other,
        name="names",
        actions=[assign],
        trigger_conditions={"model": "lead", "conditions": {"owner": user.pk}},
    )
    WebhookSubscriptionFactory(
        name="hook", url="https://x.example", events=["lead.created"], owner=user, secret="s"
    )
    SavedViewFactory(owner=user, entity="lead", name="shared", is_shared=True)
    SavedViewFactory(owner=user, entity="lead", name="private")
    return user


def test_everything_open_is_handed_over_and_the_rest_is_named(admin, leaver, make_user):
    receiver = make_user("manager")
    answer = admin.post(f"{USERS}{leaver.pk}/hand_over/", {"to": receiver.pk}, format="json")
    assert answer.status_code == 200, answer.json()
    body = answer.json()
    assert body["records"] == {"leads": 2, "contacts": 1, "companies": 1, "opportunities": 1, "tasks": 1}
    assert body["kept"] == {"leads": 1, "contacts": 0, "companies": 0, "opportunities": 1, "tasks": 1}
    assert {kind: len(ids) for kind, ids in body["changed"].items()} == {
        "workflow": 2,
        "webhook": 1,
        "saved_view": 1,
    }
    assert body["left"] == []
    both = Lead.objects.get(first_name="own")
    assert both.owner == both.assigned_to == receiver
    assert Lead.objects.get(first_name="assigned").owner != receiver
    assert Workflow.objects.get(name="own").run_as == receiver
    named = Workflow.objects.get(name="names")
    assert named.trigger_conditions["conditions"] == {"owner": receiver.pk}
    assert named.actions[0]["params"]["users"][0] == receiver.pk
    assert SavedView.objects.get(name="private").owner == leaver
    assert admin.delete(f"{USERS}{leaver.pk}/").status_code == 204


def test_a_team_shares_in_turn(admin, leaver, make_user):
    team = TeamFactory(name="Heirs")
    members = [make_user(team=team), make_user(team=team), make_user("manager", team=team)]
    Lead.objects.bulk_create(Lead(first_name="x", owner=leaver) for _ in range(7))
    body = admin.post(f"{USERS}{leaver.pk}/hand_over/", {"team": team.pk}, format="json").json()
    assert body["records"]["leads"] == 9
    counts = [Lead.objects.filter(owner=member).count() for member in members]
    assert sorted(counts) == [2, 3, 3]
    # A rep may not have what acts in their name: it goes to the one who may.
    assert Workflow.objects.get(name="own").run_as == members[2]


def test_what_nobody_may_have_is_left_and_said(admin, leaver, rep):
    body = admin.post(f"{USERS}{leaver.pk}/hand_over/", {"to": rep.pk}, format="json").json()
    left = {issue["field"].split()[0] for issue in body["left"]}
    assert left == {"workflow", "webhook"}
    assert admin.delete(f"{USERS}{leaver.pk}/").status_code == 409


@pytest.mark.parametrize("leave", ["delete", "patch"])
def test_nobody_goes_who_has_something_unless_forced(admin, leaver, leave):
    def go(query=""):
        address = f"{USERS}{leaver.pk}/{query}"
        return (
            admin.delete(address)
            if leave == "delete"
            else admin.patch(address, {"is_active": False}, format="json")
        )

    answer = go()
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/hand-over-needed"
    assert {"leads", "contacts", "companies", "opportunities", "tasks"} <= issues(answer)
    leaver.refresh_from_db()
    assert leaver.is_active
    assert Workflow.objects.get(name="own").status == "active"
    assert go("?force=true").status_code in (200, 204)
    leaver.refresh_from_db()
    assert not leaver.is_active
    assert Workflow.objects.get(name="own").status == Workflow.objects.get(name="names").status == "paused"
    assert not WebhookSubscription.objects.get().is_enabled
    assert Lead.objects.filter(owner=leaver).count() == 2


def test_bad_receivers_are_refused_and_others_may_not_hand_over(admin, api, leaver, rep, make_user):
    gone = make_user(is_active=False)
    for body in (
        {},
        {"to": gone.pk},
        {"to": leaver.pk},
        {"to": 10**9},
        {"team": 10**9},
        {"to": rep.pk, "team": 1},
    ):
        answer = admin.post(f"{USERS}{leaver.pk}/hand_over/", body, format="json")
        assert answer.status_code == 400, body
    for user in (rep, leaver):
        assert (
            api(user).post(f"{USERS}{leaver.pk}/hand_over/", {"to": rep.pk}, format="json").status_code == 403
        )
    assert Lead.objects.filter(owner=leaver).count() == 2


# ---- In use ----


def custom_field(user):
    field = CustomFieldFactory(entity="lead", key="size", type="number")
    workflow(user, trigger_conditions={"model": "lead", "conditions": {"custom_fields.size": 5}})
    SavedViewFactory(owner=user, entity="lead", name="v", ordering="-custom_fields.size")
    SavedViewFactory(owner=user, entity="lead", name="other", ordering="-custom_fields.size_2")
    SavedViewFactory(owner=user, entity="contact", name="v", fields=["custom_fields.size"])
    EmailTemplateFactory(
        key="m", name="m", entity="lead", subject="{{ lead.custom_fields.size }}", created_by=user
    )
    return f"/api/v1/custom_fields/{field.pk}/", {"workflow", "saved_view", "email_template"}


def template(user):
    made = EmailTemplateFactory(key="welcome", name="Welcome", subject="Hi")
    workflow(
        user, actions=[{"type": "send_email", "params": {"template_id": "welcome", "to": ["a@x.example"]}}]
    )
    return f"/api/v1/email_templates/{made.pk}/", {"workflow"}


def stage(user):
    pipeline = PipelineFactory(name="Two")
    StageFactory(pipeline=pipeline, key="first", name="First")
    made = StageFactory(pipeline=pipeline, key="legal_check", name="Legal")
    given = {"model": "opportunity", "to": "legal_check"}
    workflow(user, trigger_type="stage_changed", trigger_conditions=given)
    return f"/api/v1/stages/{made.pk}/", {"workflow"}


def pipeline(user):
    made = PipelineFactory(name="Two")
    SavedViewFactory(owner=user, entity="opportunity", name="v", conditions={"pipeline": made.pk})
    return f"/api/v1/pipelines/{made.pk}/", {"saved_view"}


def team(user):
    made = TeamFactory(name="West")
    workflow(user, actions=[{"type": "assign_record", "params": {"team_id": made.pk}}])
    return f"/api/v1/teams/{made.pk}/", {"workflow"}


@pytest.mark.parametrize("used", [custom_field, template, stage, pipeline, team])
def test_what_is_in_use_is_refused_with_who_uses_it(admin, admin_user, used):
    address, users = used(admin_user)
    answer = admin.delete(address)
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/in-use"
    assert {name.split()[0] for name in issues(answer)} == users
    assert len(issues(answer)) == len(users)
    assert admin.get(address).status_code == 200
    assert set(Workflow.objects.values_list("status", flat=True)) <= {"active"}
    assert admin.delete(f"{address}?force=true").status_code == 204
    assert set(Workflow.objects.values_list("status", flat=True)) <= {"paused"}
    reported = Notification.objects.filter(type="in_use_deleted", recipient=admin_user)
    assert reported.count() == len(users)


def test_a_tag_in_use_is_refused_too(admin, admin_user):
    workflow(admin_user, actions=[{"type": "add_tag", "params": {"tag": "vip"}}])
    workflow(
        admin_user,
        trigger_conditions={"model": "contact", "conditions": {}},
        actions=[{"type": "add_tag", "params": {"tag": "vip"}}],
    )
    LeadFactory(first_name="x", tags=["vip"])
    body = {"entity": "lead", "tags": ["vip"]}
    answer = admin.post("/api/v1/tags/delete/", body, format="json")
    assert (answer.status_code, len(issues(answer))) == (409, 1)
    assert Lead.objects.get().tags == ["vip"]
    assert admin.post("/api/v1/tags/delete/", body | {"force": True}, format="json").json() == {"updated": 1}


@pytest.mark.parametrize(
    ("verb", "given"), [("rename", {"tag": "vip"}), ("merge", {"tags": ["vip", "gold"]})]
)
def test_a_tag_in_use_keeps_its_name_too(admin, admin_user, rep, verb, given):
    workflow(admin_user, actions=[{"type": "add_tag", "params": {"tag": "vip"}}])
    LeadFactory(first_name="x", tags=["vip"], owner=rep)
    body = {"entity": "lead", "to": "gold", **given}
    answer = admin.post(f"/api/v1/tags/{verb}/", body, format="json")
    assert (answer.status_code, len(issues(answer))) == (409, 1)
    assert Lead.objects.get().tags == ["vip"]
    assert admin.post(f"/api/v1/tags/{verb}/", body | {"force": True}, format="json").json() == {"updated": 1}
    assert (Lead.objects.get().tags, Workflow.objects.get().status) == (["gold"], "paused")


def test_who_may_not_write_automation_pauses_none_of_it_by_a_tag(admin_user, api, rep):
    workflow(admin_user, actions=[{"type": "add_tag", "params": {"tag": "vip"}}])
    LeadFactory(first_name="x", tags=["vip", "own"], owner=rep)
    body = {"entity": "lead", "tags": ["vip"], "force": True}
    answer = api(rep).post("/api/v1/tags/delete/", body, format="json")
    assert (answer.status_code, len(issues(answer))) == (409, 1)
    assert "force" not in answer.json()["detail"]
    assert (Lead.objects.get().tags, Workflow.objects.get().status) == (["vip", "own"], "active")
    answer = api(rep).post("/api/v1/tags/delete/", body | {"tags": ["own"]}, format="json")
    assert answer.json() == {"updated": 1}


def choice(user):
    field = CustomFieldFactory(entity="lead", key="plan", type="choice", choices=["a", "b"])
    workflow(
        user, actions=[{"type": "update_field", "params": {"field": "custom_fields.plan", "value": "a"}}]
    )
    SavedViewFactory(owner=user, entity="lead", name="v", conditions={"custom_fields.plan": "a"})
    SavedViewFactory(owner=user, entity="lead", name="other", conditions={"custom_fields.plan": "b"})
    return f"custom_fields/{field.pk}", "choices", ["b"], {"workflow", "saved_view"}


def choice_in_an_object(user):
    field = CustomFieldFactory(entity="lead", key="plan", type="choice", choices=["a", "b"])
    fields = {"first_name": "Ada", "custom_fields": {"plan": "a"}}
    workflow(user, actions=[{"type": "create_record", "params": {"model": "lead", "fields": fields}}])
    return f"custom_fields/{field.pk}", "choices", ["b"], {"workflow"}


def key_of_a_template(user):
    template(user)
    pk = EmailTemplate.objects.get().pk
    return f"email_templates/{pk}", "key", "hello", {"workflow"}


def key_of_a_stage(user):
    stage(user)
    pk = Stage.objects.get(key="legal_check").pk
    return f"stages/{pk}", "key", "contract", {"workflow"}


@pytest.mark.parametrize("named", [choice, choice_in_an_object, key_of_a_template, key_of_a_stage])
def test_what_is_in_use_keeps_the_name_it_is_used_by(admin, admin_user, named):
    path, field, new, users = named(admin_user)
    before = admin.get(f"/api/v1/{path}/").json()
    answer = admin.patch(f"/api/v1/{path}/", {field: new})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/in-use")
    assert {name.split()[0] for name in issues(answer)} == users
    assert admin.get(f"/api/v1/{path}/").json() == before
    assert set(Workflow.objects.values_list("status", flat=True)) == {"active"}
    Workflow.objects.all().delete()
    SavedView.objects.all().delete()
    assert admin.patch(f"/api/v1/{path}/", {field: new}).json()[field] == new


def test_the_admin_site_keeps_the_name_of_what_is_in_use(client, admin_user):
    admin_user.is_staff = admin_user.is_superuser = True
    admin_user.save()
    client.force_login(admin_user)
    key_of_a_stage(admin_user)
    row = Stage.objects.get(key="legal_check")
    form = {"pipeline": row.pipeline_id, "key": "contract", "name": "Legal", "position": 0, "probability": 0}
    answer = client.post(f"/admin/opportunities/stage/{row.pk}/change/", form, follow=True)
    assert b"is in use by 1. " in answer.content
    assert Stage.objects.get(pk=row.pk).key == "legal_check"
    client.post(f"/admin/opportunities/stage/{row.pk}/change/", form | {"key": "legal_check", "name": "Law"})
    assert Stage.objects.get(pk=row.pk).name == "Law"


def test_the_admin_site_asks_for_a_hand_over_too(client, admin_user, leaver, make_user):
    admin_user.is_staff = admin_user.is_superuser = True
    admin_user.save()
    client.force_login(admin_user)
    receiver = make_user("manager")
    address = f"/admin/core/user/{leaver.pk}/change/"
    form = {
        "username": leaver.username, "email": leaver.email, "time_zone": "UTC", "role": "manager",
        "first_name": "", "last_name": "", "phone": "", "team": "",
    }  # fmt: skip
    assert b"still has something" in client.post(address, form).content
    leaver.refresh_from_db()
    assert leaver.is_active
    chosen = {"action": "hand_over", "_selected_action": [leaver.pk], "select_across": "0"}
    assert f"Hand over what {leaver} has" in client.post("/admin/core/user/", chosen).content.decode()
    client.post("/admin/core/user/", chosen | {"verb_sent": "1", "to": [receiver.pk]})
    assert Lead.objects.get(first_name="own").owner == receiver
    client.post(address, form)
    leaver.refresh_from_db()
    assert not leaver.is_active


def test_the_admin_site_refuses_what_is_in_use(client, admin_user):
    admin_user.is_staff = True
    admin_user.save()
    client.force_login(admin_user)
    custom_field(admin_user)
    pk = CustomField.objects.get().pk
    answer = client.post(f"/admin/core/customfield/{pk}/delete/", {"post": "yes"}, follow=True)
    assert b"is in use by 3. " in answer.content
    assert b"uses it in" in answer.content
    assert CustomField.objects.filter(pk=pk).exists()
    forced = f"/admin/core/customfield/{pk}/delete/?force=true"
    assert forced.encode() in answer.content
    client.post(forced, {"post": "yes"})
    assert not CustomField.objects.filter(pk=pk).exists()
    assert Workflow.objects.get().status == "paused"


def test_a_view_of_what_is_gone_can_still_be_renamed(admin, admin_user):
    address, _ = custom_field(admin_user)
    admin.delete(f"{address}?force=true")
    view = SavedView.objects.get(name="v", entity="lead")
    answer = admin.patch(f"/api/v1/saved_views/{view.pk}/", {"name": "renamed"}, format="json")
    assert (answer.status_code, answer.json()["name"]) == (200, "renamed")
    assert admin.get("/api/v1/leads/", {"view": view.pk}).status_code == 400


def test_custom_fields_that_name_a_user_are_searched_and_handed_over(admin, make_user):
    leaver, receivers = make_user(), [make_user(), make_user()]
    team = TeamFactory(name="Heirs")
    User.objects.filter(pk__in=[user.pk for user in receivers]).update(team=team)
    CustomFieldFactory(entity="lead", key="buyer", type="user")
    CustomFieldFactory(entity="lead", key="note", type="number")
    named = [LeadFactory(first_name=name, custom_fields={"buyer": leaver.pk, "note": 1}) for name in "abc"]
    lost = LeadFactory(first_name="x", status="lost", lost_reason="price", custom_fields={"buyer": leaver.pk})
    other = LeadFactory(first_name="y", custom_fields={"note": leaver.pk})
    refused = admin.delete(f"{USERS}{leaver.pk}/")
    assert (refused.status_code, issues(refused)) == (409, {"leads.custom_fields.buyer"})
    body = admin.post(f"{USERS}{leaver.pk}/hand_over/", {"team": team.pk}, format="json").json()
    assert (body["fields"], body["left"]) == ({"leads.custom_fields.buyer": 3}, [])
    stored = [Lead.objects.get(pk=lead.pk).custom_fields for lead in named]
    first, second = (user.pk for user in receivers)
    assert stored == [{"buyer": pk, "note": 1} for pk in (first, second, first)]
    assert Lead.objects.get(pk=lost.pk).custom_fields == {"buyer": leaver.pk}
    assert Lead.objects.get(pk=other.pk).custom_fields == {"note": leaver.pk}
    assert admin.delete(f"{USERS}{leaver.pk}/").status_code == 204


def test_the_admin_site_finds_users_whatever_the_case_and_accents(client, admin_user, make_user):
    admin_user.is_staff = True
    admin_user.save()
    client.force_login(admin_user)
    for name in ("Zoë", "Émile", "Emil", "école"):
        make_user(first_name="x", last_name=name)
    page = client.get("/admin/core/user/", {"q": "emil"})
    assert {user.last_name for user in page.context["cl"].result_list} == {"Emil", "Émile"}


def test_lists_that_are_no_entitys_are_in_the_order_of_names_too(admin, client, admin_user, make_user):
    names = ["Zoë", "école", "Émile", "Emil", "zebra"]
    right = ["école", "Emil", "Émile", "zebra", "Zoë"]
    users = [make_user(last_name=name) for name in names]
    for name in names:
        TeamFactory(name=name)
    listed = admin.get(USERS, {"ordering": "last_name", "page_size": 100}).json()["results"]
    pks = {user.pk for user in users}
    assert [row["last_name"] for row in listed if row["id"] in pks] == right
    teams = admin.get("/api/v1/teams/", {"ordering": "-name"}).json()["results"]
    assert [row["name"] for row in teams if row["name"] in names] == right[::-1]
    admin_user.is_staff = True
    admin_user.save()
    client.force_login(admin_user)
    for name in names:
        CompanyFactory(name=name)
    columns = list(client.get("/admin/contacts/company/").context["cl"].list_display)
    page = client.get("/admin/contacts/company/", {"o": str(columns.index("name"))})
    assert [company.name for company in page.context["cl"].result_list] == right
    exported = b"".join(admin.get("/api/v1/export/companies/?fields=name&ordering=name").streaming_content)
    assert exported.decode().split()[1:] == right
