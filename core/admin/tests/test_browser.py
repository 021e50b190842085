"""A day in the admin site in a real browser: no page throws an error, and what is done there is done."""

import pytest
from django.contrib import admin

from backend.routing import make_application
from backend.testing.web import serving
from core.accounts.tests.conftest import PASSWORD
from core.activities.models import Activity
from core.notifications.tests.browsing import chromium
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def queries_beside_a_loop(monkeypatch):
    """Playwright's own event loop runs in this thread, which Django takes for a view's."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")


@pytest.fixture
def site(settings, transactional_db):
    """The address of the whole application under its own server."""
    with serving(make_application()) as address:
        yield f"http://{address}"


@pytest.fixture
def problems():
    return []


def open_page(browser, site, problems, **options):
    page = browser.new_context(base_url=site, **options).new_page()
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    page.on(
        "console",
        lambda message: problems.append(f"{page.url}: {message.text}") if message.type == "error" else None,
    )
    return page


def sign_in(page, user):
    page.goto("/admin/")
    page.get_by_label("Username").fill(user.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")


def test_a_seller_finds_a_lead_and_logs_a_call(site, make_user, problems):
    rep = make_user("rep", is_staff=True)
    lead = LeadFactory(first_name="Ada", last_name="Byron", lead_score=90, owner=rep, assigned_to=rep)
    with chromium() as browser:
        page = open_page(browser, site, problems, viewport={"width": 1360, "height": 850})
        sign_in(page, rep)
        page.locator(".crm-panel").get_by_role("link", name="Ada Byron").click()
        page.get_by_text("Log a call, e-mail, meeting or note").click()
        page.locator("[name=activity-type]").select_option("call")
        page.locator("[name=activity-subject]").fill("Asked for a quote")
        page.locator(".crm-log form").first.get_by_role("button", name="Add to the timeline").click()
        page.locator(".crm-timeline ol").get_by_text("Asked for a quote").wait_for()
    assert Activity.objects.get().object_id == lead.pk
    assert problems == []


def test_pages_that_ask_first_open_without_a_script_error(site, make_user, problems):
    boss = make_user("admin", is_staff=True)
    lead = LeadFactory(first_name="Ada", last_name="Byron", owner=boss)
    with chromium() as browser:
        page = open_page(browser, site, problems)
        sign_in(page, boss)
        page.goto(f"/admin/lead_management/lead/{lead.pk}/convert/")
        assert page.get_by_role("button", name="Convert Ada Byron").is_visible()
    lead.refresh_from_db()
    assert lead.status == "new"
    assert problems == []


def test_a_deal_is_moved_on_the_board_with_the_mouse_and_with_the_keyboard(site, make_user, problems):
    rep = make_user("rep", is_staff=True)
    deal = OpportunityFactory(name="Big deal", owner=rep)
    with chromium() as browser:
        page = open_page(browser, site, problems, viewport={"width": 1700, "height": 850})
        sign_in(page, rep)
        page.goto("/admin/opportunities/opportunity/")
        page.get_by_role("link", name="Board").click()
        page.locator(".crm-card", has_text="Big deal").drag_to(page.locator('[data-column="proposal"] ol'))
        page.get_by_text("Moved to Proposal").wait_for()
        deal.refresh_from_db()
        assert deal.stage == "proposal"
        page.locator('[data-column="proposal"] .crm-card').focus()
        page.keyboard.press("Shift+ArrowRight")
        page.get_by_text("Moved to Negotiation").wait_for()
        # The card keeps the focus: its way goes on.
        page.locator('[data-column="negotiation"] .crm-card:focus').wait_for()
        page.locator(".crm-card", has_text="Big deal").drag_to(page.locator('[data-column="closed_lost"] ol'))
        page.locator("#board-answer").fill("No budget")
        page.get_by_role("button", name="Move", exact=True).click()
        page.get_by_text("Moved to Closed lost").wait_for()
    deal.refresh_from_db()
    assert (deal.stage, deal.lost_reason) == ("closed_lost", "No budget")
    assert problems == []


def test_the_palette_opens_a_record_by_the_keyboard_alone(site, make_user, problems):
    rep = make_user("rep", is_staff=True)
    LeadFactory(first_name="Ada", last_name="Byron", owner=rep)
    with chromium() as browser:
        page = open_page(browser, site, problems, viewport={"width": 1360, "height": 850})
        sign_in(page, rep)
        page.keyboard.press("Control+k")
        page.get_by_role("option", name="Home").wait_for()
        page.keyboard.type("byron")
        page.get_by_role("option", name="Ada Byron", selected=True).wait_for()
        page.keyboard.press("Enter")
        page.wait_for_url("**/change/")
        page.keyboard.press("Control+k")
        page.get_by_role("group", name="Recent records").get_by_text("Ada Byron").wait_for()
        page.keyboard.press("Escape")
        assert page.locator("#palette").is_hidden()
    assert problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_of_the_site_has_an_error(site, make_user, problems, scheme):
    boss = make_user("admin", is_staff=True)
    lead = LeadFactory(first_name="Ada", owner=boss)
    OpportunityFactory(owner=boss)
    with chromium() as browser:
        page = open_page(browser, site, problems, color_scheme=scheme)
        sign_in(page, boss)
        for model in admin.site._registry:
            page.goto(f"/admin/{model._meta.app_label}/{model._meta.model_name}/")
        for below in ("change/", "history/", "convert/", "delete/"):
            page.goto(f"/admin/lead_management/lead/{lead.pk}/{below}")
        page.goto("/admin/lead_management/lead/add/")
        for board in ("opportunities/opportunity", "lead_management/lead", "tasks/task"):
            page.goto(f"/admin/{board}/board/")
    assert problems == []


def test_home_and_lists_fit_a_phone(site, make_user, problems):
    rep = make_user("rep", is_staff=True)
    lead = LeadFactory(first_name="Ada", last_name="Byron" * 12, owner=rep, lead_score=90)
    with chromium() as browser:
        page = open_page(browser, site, problems, viewport={"width": 390, "height": 844})
        sign_in(page, rep)
        for url in (
            "/admin/",
            "/admin/lead_management/lead/",
            "/admin/lead_management/lead/board/",
            f"/admin/lead_management/lead/{lead.pk}/change/",
        ):
            page.goto(url)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, url
    assert problems == []
