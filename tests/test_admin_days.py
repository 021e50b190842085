"""The days of a seller (light), a manager (on a phone) and an administrator (dark) in the admin site.

In a real browser: what they do there is done, and no page throws an error or asks for what is refused.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone

from backend.routing import make_application
from backend.testing.web import serving
from core.accounts.tests.factories import TeamFactory
from core.activities.models import Activity, Comment
from core.changes.dispatch import dispatch
from core.changes.models import Change
from core.conditions.models import SavedView
from core.entities.models import CustomField
from core.lead_scoring.models import ScoringRules
from core.notifications import live
from core.notifications.models import Notification
from core.notifications.tests.browsing import chromium
from core.notifications.tests.factories import NotificationFactory
from core.transfer.models import ImportJob
from core.workflows.models import Workflow
from core.workflows.tests.factories import WorkflowFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.models import Opportunity
from opportunities.tests.factories import OpportunityFactory
from tasks.models import Task
from tasks.tests.factories import TaskFactory
from tests.admin_site import sign_in, watched_page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
DESKTOP, PHONE = {"width": 1700, "height": 850}, {"width": 390, "height": 844}
FILE = "First name,Email,City\nAda,ada@engine.example,Turin\nBob,nonsense,Oslo\n"


@pytest.fixture
def people(transactional_db, make_user):
    """A team of a manager and two reps, and an administrator."""
    team = TeamFactory(name="West")
    roles = {"boss": "admin", "mona": "manager", "robin": "rep", "nora": "rep"}
    return {
        name: make_user(role, username=name, first_name=name.title(), is_staff=True, team=team)
        for name, role in roles.items()
    }


@pytest.fixture
def opened(people, monkeypatch):
    """opened(user, …) → a page of the user's, signed in. At the end nothing may have gone wrong on any."""
    # Playwright's own event loop runs in this thread, which Django takes for a view's.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    problems = []
    with serving(make_application()) as address, chromium() as browser:

        def open_page(user, **options):
            page = watched_page(browser, f"http://{address}", problems, **options)
            sign_in(page, user.username)
            return page

        yield open_page
        connections.close_all()  # those of the loop, which end with the server
    assert problems == []


def beside_the_loop(work):
    """Run what waits for answers of its own, in another thread than the browser's."""

    def closing():
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(closing).result()


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def run_action(page, name, rows):
    """The action of a list on those of its rows that hold these words."""
    for words in rows:
        page.locator("#result_list tr.data-row", has_text=words).locator("input[type=checkbox]").check()
    page.locator("select[name=action]").select_option(name)
    page.get_by_role("button", name="Run").click()


def test_a_sellers_day_in_the_light(opened, people):
    robin = people["robin"]
    lead = LeadFactory(
        first_name="Ada",
        last_name="Byron",
        email="ada@engines.example",
        company_name="Analytical Engines",
        estimated_value=12000,
        lead_score=90,
        owner=robin,
    )
    deal = OpportunityFactory(name="Big deal", owner=robin)
    page = opened(robin, viewport=DESKTOP)
    finds_a_lead(page)
    works_on_it(page, lead, people["boss"])
    adds_and_ticks_off_a_task(page, lead)
    moves_a_deal(page, deal)
    converts(page, lead)
    moves_in_the_calendar(page, robin)


def finds_a_lead(page):
    page.keyboard.press("Control+k")
    page.get_by_role("option", name="Home").wait_for()
    page.keyboard.type("byron")
    page.get_by_role("option", name="Ada Byron", selected=True).wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**/change/")
    page.keyboard.press("Control+k")
    page.get_by_role("group", name="Recent records").get_by_text("Ada Byron").wait_for()
    page.keyboard.press("Escape")
    page.goto("/admin/lead_management/lead/?q=nobody")
    assert page.locator("tr.data-row").count() == 0
    page.keyboard.press("/")
    page.keyboard.press("Control+A")
    page.keyboard.type("engines")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Ada Byron", exact=True).click()
    page.wait_for_url("**/change/**")


def works_on_it(page, lead, boss):
    page.get_by_text("Log a call, e-mail, meeting or note").click()
    page.locator("[name=activity-type]").select_option("call")
    page.locator("[name=activity-subject]").fill("Asked for a quote")
    page.get_by_role("button", name="Add to the timeline").first.click()
    page.locator(".crm-timeline ol").get_by_text("Asked for a quote").wait_for()
    made = Activity.objects.get()
    assert (made.type, made.object_id, made.subject) == ("call", lead.pk, "Asked for a quote")
    page.locator(".crm-log summary", has_text="Comment").click()
    page.locator("[name=comment-body]").fill("@boss may she have ten percent?")
    page.locator(".crm-log", has_text="Comment").get_by_role("button", name="Add to the timeline").click()
    page.locator(".crm-timeline ol").get_by_text("ten percent").wait_for()
    assert Comment.objects.get().object_id == lead.pk
    beside_the_loop(dispatch)
    assert Notification.objects.filter(recipient=boss, entity="lead", object_id=lead.pk).count() == 1


def adds_and_ticks_off_a_task(page, lead):
    page.locator(".crm-panel", has_text="Open tasks").get_by_role("link", name="Add").click()
    page.locator("[name=title]").fill("Send the quote")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/tasks/task/")
    task = Task.objects.get()
    assert (task.title, task.lead_id, task.status) == ("Send the quote", lead.pk, "pending")
    page.goto(f"/admin/lead_management/lead/{lead.pk}/change/")
    page.locator("[name=job_title]").fill("Countess")
    page.get_by_role("button", name="Tick off Send the quote").click()
    page.get_by_text("Ticked off.").wait_for()
    task.refresh_from_db()
    assert task.status == "completed"
    # What was being written on the page is still there.
    assert page.locator("[name=job_title]").input_value() == "Countess"


def moves_a_deal(page, deal):
    page.goto("/admin/opportunities/opportunity/")
    page.get_by_role("link", name="Board").click()
    card = page.locator(".crm-card", has_text="Big deal")
    card.drag_to(page.locator('[data-column="proposal"] ol'))
    page.get_by_text("Moved to Proposal").wait_for()
    deal.refresh_from_db()
    assert deal.stage == "proposal"
    page.locator('[data-column="proposal"] .crm-card').focus()
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_text("Moved to Negotiation").wait_for()
    # The card keeps the focus: its way goes on.
    page.locator('[data-column="negotiation"] .crm-card:focus').wait_for()
    card.drag_to(page.locator('[data-column="closed_lost"] ol'))
    page.get_by_role("dialog", name="Big deal → Closed lost").wait_for()
    page.locator("#board-answer").fill("No budget")
    page.get_by_role("button", name="Move", exact=True).click()
    page.get_by_text("Moved to Closed lost").wait_for()
    deal.refresh_from_db()
    assert (deal.stage, deal.lost_reason) == ("closed_lost", "No budget")


def converts(page, lead):
    page.goto(f"/admin/lead_management/lead/{lead.pk}/change/")
    page.get_by_role("link", name="Convert").click()
    for line in ("New company: Analytical Engines", "New contact: Ada Byron"):
        page.get_by_text(line).wait_for()
    lead.refresh_from_db()
    assert (lead.status, Opportunity.objects.count()) == ("new", 1)
    page.get_by_role("button", name="Convert Ada Byron").click()
    page.get_by_text("Converted: new company").wait_for()
    lead.refresh_from_db()
    assert (lead.status, lead.converted_company.name) == ("converted", "Analytical Engines")
    assert lead.converted_opportunity.amount == 12000


def moves_in_the_calendar(page, robin):
    day = timezone.localdate(timezone=robin.zone).replace(day=15)
    due = datetime(day.year, day.month, 15, 10, tzinfo=robin.zone)
    task = TaskFactory(title="Call back", owner=robin, assigned_to=robin, due_date=due)
    page.goto("/admin/calendar/")
    page.locator(".crm-card", has_text="Call back").drag_to(
        page.locator(f'[data-column="{day.replace(day=16)}"] ol')
    )
    page.get_by_text("Moved to").wait_for()
    task.refresh_from_db()
    assert task.due_date == due + timedelta(days=1)
    page.locator(".crm-card", has_text="Call back").focus()
    page.keyboard.press("Shift+ArrowLeft")
    page.locator(f'[data-column="{day}"] .crm-card:focus').wait_for()
    task.refresh_from_db()
    assert task.due_date == due


def test_a_managers_day_on_a_phone(opened, people):
    mona, robin, nora = people["mona"], people["robin"], people["nora"]
    long = LeadFactory(
        first_name="Ada", last_name="Byron" * 12, status="new", owner=robin, assigned_to=robin, lead_score=90
    )
    LeadFactory(first_name="Bob", last_name="Babbage", status="contacted", owner=robin, assigned_to=robin)
    OpportunityFactory(name="Big deal", owner=robin, stage="proposal", amount=5000, currency="EUR")
    page = opened(mona, viewport=PHONE)
    pipeline = page.locator(".crm-panel", has_text="Pipeline by stage").locator("li", has_text="Proposal")
    assert pipeline.locator(".crm-detail").inner_text() == "€5,000"
    for address in (
        "",
        "core/goal/reports/",
        "lead_management/lead/",
        "lead_management/lead/board/",
        f"lead_management/lead/{long.pk}/change/",
        "calendar/",
    ):
        page.goto(f"/admin/{address}")
        assert fits(page), address
    page.goto("/admin/core/goal/reports/")
    page.get_by_text("1 created, 0 won, 0 lost").wait_for()
    page.goto("/admin/lead_management/lead/?status__exact=new")
    page.get_by_role("link", name="Save this view").click()
    page.get_by_text("Status is New").wait_for()
    page.locator("[name=name]").fill("Fresh ones")
    page.locator("[name=is_shared]").check()
    page.get_by_role("button", name="Save this view").click()
    page.get_by_text("Saved as a tab of this list.").wait_for()
    view = SavedView.objects.get()
    assert (view.name, view.is_shared, view.owner) == ("Fresh ones", True, mona)
    assert page.locator("tr.data-row").count() == 1
    page.goto("/admin/lead_management/lead/")
    run_action(page, "assign", ["Bob Babbage"])
    page.get_by_text("Bob Babbage").wait_for()
    assert Lead.objects.filter(assigned_to=nora).count() == 0
    page.get_by_label("Nora (nora)").check()
    page.locator("#verb-preview tbody tr", has_text="Nora").wait_for()
    page.locator("form button[type=submit]").last.click()
    page.get_by_text("1 assigned.").wait_for()
    assert Lead.objects.get(assigned_to=nora).first_name == "Bob"


def test_an_administrators_day_in_the_dark(opened, people):
    page = opened(people["boss"], viewport=DESKTOP, color_scheme="dark")
    assert "dark" in page.locator("html").get_attribute("class")
    hears_of_what_happens(page, people["boss"])
    imports_and_takes_it_back(page)
    stops_a_workflow_for_a_while(page)
    puts_stages_in_order(page)
    changes_the_scoring_rules(page, people["robin"])
    lets_somebody_go(page, people["robin"], people["nora"])
    adds_a_custom_field(page)


def hears_of_what_happens(page, boss):
    """The bell rings while the page is open, and leads to what it is about."""
    lead = LeadFactory(first_name="Ida", last_name="Rhodes", owner=boss)
    # Listened to from the start: the first frame may come before the page is loaded.
    frames = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
    page.goto("/admin/calendar/")
    for _ in range(300):
        if frames:
            break
        page.wait_for_timeout(100)
    assert frames

    def notify():
        row = NotificationFactory(
            recipient=boss,
            type="mention",
            title="Robin mentioned you on Ida",
            entity="lead",
            object_id=lead.pk,
        )
        live.announce([row])

    beside_the_loop(notify)
    page.locator("#bell-said", has_text="Robin mentioned you on Ida").wait_for()
    page.locator("#bell .crm-bell-count", has_text="1").wait_for()
    page.get_by_role("link", name="Notifications, 1 unread").click()
    page.get_by_text("Someone mentions you").wait_for()
    page.get_by_role("button", name="Robin mentioned you on Ida", exact=True).click()
    page.wait_for_url(f"**/lead/{lead.pk}/change/")
    assert Notification.objects.get(recipient=boss).read_at is not None
    Notification.objects.all().delete()
    lead.delete()


def imports_and_takes_it_back(page):
    page.goto("/admin/core/importjob/")
    page.get_by_role("link", name="Import a file").click()
    page.locator("[name=entity]").select_option("lead")
    page.locator("[name=file]").set_input_files(
        {"name": "leads.csv", "mimeType": "text/csv", "buffer": FILE.encode()}
    )
    page.get_by_role("button", name="Look at it").click()
    page.locator("select[aria-label='Where Email goes']").wait_for()
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_text("First rows to look at").wait_for()
    job = ImportJob.objects.get()
    assert (job.created, job.failed, Lead.objects.get().city) == (1, 1, "Turin")
    with page.expect_download() as download:
        page.get_by_role("link", name="Error file").click()
    assert download.value.path().read_text().splitlines()[1].startswith("Bob,nonsense,Oslo")
    page.get_by_role("link", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Undoes import").wait_for()
    assert Lead.objects.count() == 0


def stops_a_workflow_for_a_while(page):
    workflow = WorkflowFactory(name="Welcome")
    for verb, status in (("Pause", Workflow.Status.PAUSED), ("Resume", Workflow.Status.ACTIVE)):
        page.goto(f"/admin/core/workflow/{workflow.pk}/change/")
        page.get_by_role("link", name=verb).click()
        page.locator("form button[type=submit]").last.click()
        page.wait_for_url("**/change/**")
        workflow.refresh_from_db()
        assert workflow.status == status


def puts_stages_in_order(page):
    pipeline = OpportunityFactory().pipeline
    page.goto(f"/admin/opportunities/pipeline/{pipeline.pk}/change/")
    page.get_by_role("link", name="Order of stages").click()
    lines = page.locator(".crm-order li")
    lines.filter(has_text="Prospecting").drag_to(lines.filter(has_text="Proposal"))
    page.get_by_text("Prospecting moved to place").wait_for()
    lines.filter(has_text="Negotiation").focus()
    for _ in range(3):
        page.keyboard.press("Alt+ArrowUp")
    wanted = lines.locator(".crm-order-name").all_inner_texts()
    assert (wanted[0], wanted.index("Prospecting") > 0) == ("Negotiation", True)
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/change/")
    assert list(pipeline.stages.order_by("position").values_list("name", flat=True)) == wanted
    moved = Change.objects.filter(entity="stage", source="admin").values_list("changes", flat=True)
    assert all(set(change) == {"position"} for change in moved)
    assert moved.count() > 1
    # Somebody else moves one after the page was opened: nothing is overwritten.
    page.get_by_role("link", name="Order of stages").click()
    pipeline.stages.filter(name="Negotiation").update(position=9)
    page.get_by_role("button", name="Move Prospecting up").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Somebody else changed this order").wait_for()
    assert pipeline.stages.get(name="Negotiation").position == 9


def changes_the_scoring_rules(page, robin):
    lead = LeadFactory(first_name="Eve", last_name="", lead_source="referral", email="", owner=robin)
    page.goto("/admin/core/scoringrules/")
    page.get_by_role("link", name="Edit the rules").click()
    first = page.locator(".crm-rule").first
    first.get_by_label("Points").fill("45")
    first.get_by_label("Add a value").select_option("website")
    first.locator("textarea", has_text="website").wait_for()
    page.get_by_role("button", name="Add a rule").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Choose what the rule looks at").wait_for()
    page.locator(".crm-rule").last.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Show the effect").click()
    page.get_by_text("1 becomes hot").wait_for()
    assert (
        page.locator("#effect")
        .get_by_role("link", name="Eve")
        .get_attribute("href")
        .endswith(f"/lead/{lead.pk}/change/")
    )
    assert ScoringRules.objects.count() == 0
    ScoringRules.objects.create(content={"base": 50, "rules": []}, means=[])
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Somebody else saved rules").wait_for()
    page.get_by_role("link", name="Open them again").click()
    page.get_by_text("No rules: every lead has the same score").wait_for()
    page.get_by_role("button", name="Add a rule").click()
    page.get_by_label("Field").select_option(label="Source")
    page.locator("[name='r0.value']").fill("referral")
    page.get_by_label("Points").fill("30")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The rules are saved").wait_for()
    (rule,) = ScoringRules.objects.latest("id").content["rules"]
    assert (rule["feature"], rule["test"], rule["value"], rule["points"]) == (
        "lead_source",
        "in",
        ["referral"],
        30,
    )


def lets_somebody_go(page, leaver, successor):
    lead = LeadFactory(first_name="Cyd", owner=leaver, assigned_to=leaver)
    page.goto("/admin/core/user/")
    run_action(page, "hand_over", [leaver.username])
    page.get_by_label("Nora (nora)").check()
    page.locator("#verb-preview th", has_text="Nora").wait_for()
    page.locator("form button[type=submit]").last.click()
    page.get_by_text("has handed over").wait_for()
    lead.refresh_from_db()
    assert (lead.owner, lead.assigned_to) == (successor, successor)
    page.goto(f"/admin/core/user/{leaver.pk}/change/")
    page.locator("[name=is_active]").uncheck()
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/core/user/")
    leaver.refresh_from_db()
    assert not leaver.is_active


def adds_a_custom_field(page):
    page.goto("/admin/core/customfield/add/")
    page.locator("[name=entity]").select_option("lead")
    page.locator("[name=key]").fill("budget")
    page.locator("[name=label]").fill("Budget")
    page.locator("[name=type]").select_option("number")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/core/customfield/")
    assert CustomField.objects.get().key == "budget"
    page.goto("/admin/lead_management/lead/add/")
    assert page.get_by_label("Budget").get_attribute("type") == "number"
