"""Every page of the admin site opens, and settings are changed by who may."""

import pytest
from django.apps import apps
from django.contrib import admin

from contacts.models import CompanyCheck, CompanySuggestion
from core.accounts.models import PasswordMail, Team, User
from core.accounts.tests.factories import TeamFactory
from core.admin.tests.forms import filled_in
from core.changes.models import Change, FailedDispatch
from core.conditions.models import SavedView
from core.customization.tests.factories import CustomFieldFactory
from core.entities.models import CustomField
from core.lead_scoring.models import PendingRecord, RecordScore
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.models import OpportunityContact, Pipeline, Stage
from opportunities.tests.factories import OpportunityFactory
from tasks.models import TaskRecord

pytestmark = pytest.mark.django_db
OURS = ("contacts", "opportunities", "lead_management", "tasks")


def addresses():
    for model, page in admin.site._registry.items():
        yield page, f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


# Shown on the page of their record, or on none: what waits to be scored or looked at.
OF_A_RECORD = (
    RecordScore,
    PendingRecord,
    OpportunityContact,
    CompanySuggestion,
    CompanyCheck,
    TaskRecord,
)


def test_every_model_of_the_entity_apps_has_a_page():
    missing = [
        m
        for app in OURS
        for m in apps.get_app_config(app).get_models()
        if not (admin.site.is_registered(m) or issubclass(m, OF_A_RECORD))
    ]
    assert missing == []


@pytest.mark.timeout(300)  # some hundred pages
def test_every_list_and_every_form_opens(browser, boss, rf):
    client = browser(boss)
    rf = rf.get("/")
    rf.user = boss
    for page, url in addresses():
        assert client.get(url).status_code == 200, url
        assert client.get(url, {"q": "a"}).status_code == 200, url
        if page.has_add_permission(rf):
            assert client.get(f"{url}add/").status_code == 200, url


def test_a_rep_has_no_page_to_change_settings(browser, robin):
    client = browser(robin)
    for url in ("/admin/core/user/add/", "/admin/core/team/add/", "/admin/opportunities/pipeline/add/"):
        assert client.get(url).status_code == 403, url
    assert client.post("/admin/core/team/add/", {"name": "Mine"}).status_code == 403
    assert not Team.objects.filter(name="Mine").exists()
    assert client.get("/admin/core/change/").status_code == 403


def test_nobody_makes_themselves_an_administrator(browser, robin):
    url = f"/admin/core/user/{robin.pk}/change/"
    assert browser(robin).post(url, {"role": "admin", "is_superuser": "on"}).status_code == 403
    robin.refresh_from_db()
    assert (robin.role, robin.is_superuser) == ("rep", False)


def test_an_administrator_makes_no_superuser(browser, boss, robin):
    url = f"/admin/core/user/{robin.pk}/change/"
    client = browser(boss)
    client.post(url, filled_in(client.get(url), is_superuser="on", first_name="Robin"))
    robin.refresh_from_db()
    assert (robin.first_name, robin.is_superuser) == ("Robin", False)
    assert Change.objects.filter(entity="user", source="admin", actor_id=boss.pk).count() == 1


def test_the_last_administrator_stays(browser, boss):
    url = f"/admin/core/user/{boss.pk}/change/"
    client = browser(boss)
    response = client.post(url, filled_in(client.get(url), role="rep"))
    assert "last active administrator" in response.content.decode()
    assert User.objects.get(pk=boss.pk).role == "admin"


def test_users_are_made_and_their_password_is_set(browser, boss):
    client = browser(boss)
    given = {"username": "new", "email": "new@x.example"}
    passwords = dict.fromkeys(("password1", "password2"), "correct horse battery")
    sent = filled_in(client.get("/admin/core/user/add/"), **given, **passwords)
    refused = client.post("/admin/core/user/add/", sent)
    assert set(refused.context["adminform"].form.errors) == {"way_in"}
    response = client.post("/admin/core/user/add/", sent | {"way_in": "password"})
    assert response.status_code == 302, response.context["adminform"].form.errors
    made = User.objects.get(username="new")
    assert made.check_password("correct horse battery")
    assert Change.objects.get(entity="user", object_id=made.pk, kind="created").actor_id == boss.pk
    assert PasswordMail.objects.count() == 0


def test_a_new_colleague_is_invited_and_may_work_in_the_site(browser, boss):
    User.objects.filter(pk=boss.pk).update(time_zone="Europe/Berlin")
    client = browser(boss)
    url = "/admin/core/user/add/"
    named = {"username": "ada", "first_name": "Ada", "last_name": "Byron"}
    refused = client.post(url, filled_in(client.get(url), **named))
    assert set(refused.context["adminform"].form.errors) == {"email"}
    assert not User.objects.filter(username="ada").exists()
    sent = filled_in(client.get(url), **named, email="ada@x.example")
    assert client.post(url, sent).status_code == 302
    made = User.objects.get(username="ada")
    assert (made.get_full_name(), made.is_staff, made.time_zone) == ("Ada Byron", True, "Europe/Berlin")
    assert not made.has_usable_password()
    assert list(PasswordMail.objects.values_list("email", "kind")) == [("ada@x.example", "invitation")]
    invite = f"/admin/core/user/{made.pk}/invite/"
    assert b"ada@x.example" in client.get(invite).content
    assert client.post(invite, {"verb_sent": "1"}).status_code == 302
    assert PasswordMail.objects.filter(kind="invitation").count() == 2


def test_a_hand_over_is_shown_before_it_is_done(browser, boss, robin, nora, staff):
    viewer, gone = staff("vera", "viewer"), staff("gone", is_active=False)
    leads = LeadFactory.create_batch(3, owner=robin)
    LeadFactory(owner=robin, status="lost", lost_reason="price")
    client = browser(boss)
    url = f"/admin/core/user/{robin.pk}/hand-over/"
    page = client.get(url)
    offered = set(page.context["form"].fields["to"].queryset)
    assert offered == {boss, nora}
    assert not offered & {robin, viewer, gone}
    sent = {"verb_sent": "1", "to": [boss.pk, nora.pk]}
    (shown,) = client.post(url, sent | {"verb_preview": "1"}).context["previews"]
    assert shown.columns == ["To hand over", "Closed, stays", "boss", "nora"]
    assert shown.rows == [("Leads", [3, 1, 2, 1])]
    assert Lead.objects.filter(owner=robin).count() == 4
    for receiver in (viewer, gone, robin):
        refused = client.post(url, sent | {"to": [receiver.pk]})
        assert set(refused.context["form"].errors) == {"to"}
    assert Lead.objects.filter(owner=robin).count() == 4
    assert client.post(url, sent).status_code == 302
    owners = Lead.objects.filter(pk__in=[lead.pk for lead in leads]).order_by("pk")
    assert list(owners.values_list("owner", flat=True)) == [boss.pk, nora.pk, boss.pk]
    assert list(Lead.objects.filter(owner=robin).values_list("status", flat=True)) == ["lost"]


def test_who_gets_which_records_is_shown_before_they_are_assigned(browser, boss, robin, nora, staff):
    staff("vera", "viewer")
    leads = LeadFactory.create_batch(3, owner=boss, assigned_to=None)
    LeadFactory(owner=boss, assigned_to=nora)
    client = browser(boss)
    url = "/admin/lead_management/lead/"
    sent = {"action": "assign", "_selected_action": [lead.pk for lead in leads]}
    page = client.post(url, sent)
    assert set(page.context["form"].fields["users"].queryset) == {boss, robin, nora}
    sent |= {"verb_sent": "1", "users": [robin.pk, nora.pk], "method": "least_busy"}
    (shown,) = client.post(url, sent | {"verb_preview": "1"}).context["previews"]
    assert shown.rows == [("nora", [1, 1]), ("robin", [2, 0])]
    assert Lead.objects.filter(pk__in=sent["_selected_action"]).exclude(assigned_to=None).count() == 0
    turns = sent | {"method": "round_robin"}
    (shown,) = client.post(url, turns | {"verb_preview": "1"}).context["previews"]
    assert shown.rows == [("nora", [2, 1]), ("robin", [1, 0])]
    client.post(url, turns)
    found = Lead.objects.filter(pk__in=sent["_selected_action"]).order_by("pk")
    assert list(found.values_list("assigned_to", flat=True)) == [nora.pk, robin.pk, nora.pk]


def test_a_pipeline_gets_the_usual_stages_and_one_is_the_default(browser, boss):
    client = browser(boss)
    url = "/admin/opportunities/pipeline/add/"
    response = client.post(url, filled_in(client.get(url), name="Renewals"))
    assert response.status_code == 302, response.context["adminform"].form.errors
    made = Pipeline.objects.get(name="Renewals")
    assert made.stages.count() == 6
    client.post("/admin/opportunities/pipeline/", {"action": "make_default", "_selected_action": [made.pk]})
    assert list(Pipeline.objects.filter(is_default=True)) == [made]


def test_a_stage_in_use_stays(browser, boss):
    stage = Stage.objects.get(key="proposal")
    OpportunityFactory(name="D", pipeline=stage.pipeline, stage="proposal", owner=boss)
    url = f"/admin/opportunities/stage/{stage.pk}/delete/"
    response = browser(boss).post(url, {"post": "yes"}, follow=True)
    said = [str(message) for message in response.context["messages"]]
    assert "Opportunities are in this stage; move them first (move_to=…)." in said
    assert Stage.objects.filter(pk=stage.pk).exists()


def test_a_custom_field_is_checked_by_its_own_rules(browser, boss):
    client = browser(boss)
    url = "/admin/core/customfield/add/"
    sent = filled_in(client.get(url), entity="lead", key="plan", label="Plan", type="choice", default="")
    assert "needs choices" in client.post(url, sent).content.decode()
    sent = filled_in(
        client.get(url), entity="lead", key="plan", label="Plan", type="choice", choices="a\nb, c"
    )
    response = client.post(url, sent)
    assert response.status_code == 302, response.context["adminform"].form.errors
    assert CustomField.objects.get().choices == ["a", "b, c"]


def test_a_custom_field_deleted_here_takes_its_values_along(browser, boss):
    field = CustomFieldFactory(entity="lead", key="size", type="number")
    lead = LeadFactory(first_name="Ada", custom_fields={"size": 5, "kept": 1})
    browser(boss).post(f"/admin/core/customfield/{field.pk}/delete/", {"post": "yes"})
    assert Lead.objects.get().custom_fields == {"kept": 1}
    change = Change.objects.filter(entity="lead", object_id=lead.pk).latest("id")
    assert (change.source, change.actor_id) == ("admin", boss.pk)


def test_a_default_of_another_type_is_refused(browser, boss):
    client = browser(boss)
    url = "/admin/core/customfield/add/"
    sent = filled_in(client.get(url), entity="lead", key="size", label="Size", type="number", default='"big"')
    assert "A valid number is required." in client.post(url, sent).content.decode()
    assert not CustomField.objects.exists()


def test_a_saved_view_that_would_fail_is_refused(browser, boss):
    client = browser(boss)
    url = "/admin/core/savedview/add/"
    sent = filled_in(client.get(url), entity="lead", name="Broken", conditions='{"nope": 1}')
    assert "Unknown field." in client.post(url, sent).content.decode()
    assert not SavedView.objects.exists()
    response = client.post(url, sent | {"conditions": '{"city": "Turin"}'})
    assert response.status_code == 302, response.context["adminform"].form.errors
    assert SavedView.objects.get().owner == boss


def test_what_a_consumer_could_not_take_is_tried_again(browser, boss):
    kept = FailedDispatch.objects.create(consumer="webhooks", entity="lead", automation=True, change_ids=[1])
    client = browser(boss)
    client.post("/admin/core/faileddispatch/", {"action": "try_again", "_selected_action": [kept.pk]})
    kept.refresh_from_db()
    assert kept.due_at is not None


def test_the_trail_cannot_be_changed(browser, boss):
    TeamFactory(name="West")
    change = Change.objects.get(entity="team")
    client = browser(boss)
    assert client.get(f"/admin/core/change/{change.pk}/change/").status_code == 200
    assert client.post(f"/admin/core/change/{change.pk}/change/", {"kind": "deleted"}).status_code == 403
    assert client.post(f"/admin/core/change/{change.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_site_bears_the_name_of_the_installation(browser, boss):
    text = browser(boss).get("/admin/").content.decode()
    assert "<title>Home | CRM</title>" in " ".join(text.split()).replace("> ", ">").replace(" <", "<")
    assert "Django" not in text


def test_what_gives_no_rights_is_not_offered(browser, boss):
    assert browser(boss).get("/admin/auth/group/").status_code == 404


@pytest.mark.parametrize("role", ["rep", "viewer", "manager"])
def test_of_colleagues_staff_see_no_more_than_over_the_api(browser, staff, boss, role):
    boss.email, boss.phone = "boss.private@crm.example", "+4930123456"
    boss.save()
    client = browser(staff("someone", role))
    page = "/admin/core/user/"
    for address in (page, f"{page}{boss.pk}/change/", f"{page}?q={boss.username}"):
        shown = client.get(address).content.decode()
        assert boss.username in shown
        assert not [secret for secret in (boss.email, boss.phone, "argon2", "md5$") if secret in shown]
    assert f"{page}{boss.pk}/" not in client.get(f"{page}?q=boss.private").content.decode()
    for lookup in ("email__startswith=boss", "role=admin", "last_login__isnull=0", "is_superuser__exact=1"):
        assert client.get(f"{page}?{lookup}").status_code == 400
    named = {"app_label": "tasks", "model_name": "task", "field_name": "owner"}
    found = client.get("/admin/autocomplete/", named | {"term": "boss.private"}).json()["results"]
    assert found == []


def test_a_manager_sees_all_of_the_people_of_the_own_team(browser, staff, make_user):
    team = TeamFactory(name="North")
    manager = staff("lead", "manager", team=team)
    member = make_user("rep", team=team)
    shown = browser(manager).get(f"/admin/core/user/{member.pk}/change/").content.decode()
    assert member.email in shown
    assert "algorithm" not in shown
