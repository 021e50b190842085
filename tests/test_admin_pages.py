"""One page of each kind of the admin site in a real browser: nothing that keeps people from using it.

`make axe` looks at every page that links lead to, in both themes and widths.
"""

from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from backend.routing import make_application
from backend.testing.web import serving
from core.notifications.tests.browsing import accessibility_faults, chromium
from core.workflows.models import Workflow
from lead_management.tests.factories import LeadFactory
from opportunities.tests.factories import OpportunityFactory
from tasks.tests.factories import TaskFactory
from tests.admin_site import sign_in, watched_page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def places(make_user, admin):
    """Addresses of pages, one of each kind, with something on them."""
    boss = make_user("admin", username="boss", first_name="Bea", is_staff=True)
    lead = LeadFactory(first_name="Ada", owner=boss, lead_score=90, email="ada@engines.example")
    deal = OpportunityFactory(name="Big deal", owner=boss, amount=5000)
    TaskFactory(title="Call", owner=boss, lead=lead, due_date=timezone.now() - timedelta(days=1))
    body = {"name": "Share out", "trigger_type": "record_created", "trigger_conditions": {"model": "lead"}}
    steps = [{"type": "assign_record", "params": {"users": [boss.pk], "method": "round_robin"}}]
    made = admin.post("/api/v1/workflows/", {**body, "actions": steps})
    assert made.status_code == 201, made.json()
    workflow = Workflow.objects.get()
    pipeline = deal.pipeline
    return (
        "",
        "lead_management/lead/",
        "lead_management/lead/?status__exact=new&q=ada",
        "lead_management/lead/add/",
        f"lead_management/lead/{lead.pk}/change/",
        f"lead_management/lead/{lead.pk}/history/",
        f"lead_management/lead/{lead.pk}/convert/",
        "lead_management/lead/views/add/",
        f"opportunities/opportunity/{deal.pk}/change/",
        "opportunities/opportunity/board/",
        f"opportunities/pipeline/{pipeline.pk}/change/",
        f"opportunities/pipeline/{pipeline.pk}/order/",
        "calendar/?who=all",
        "core/goal/reports/",
        f"core/workflow/{workflow.pk}/change/",
        f"core/workflow/{workflow.pk}/edit/",
        f"core/workflow/{workflow.pk}/versions/",
        "core/scoringrules/add/",
        "core/importjob/new/",
        "core/change/",
        "core/team/",
        "core/user/",
        f"core/user/{boss.pk}/change/",
        "export/?of=lead",
        "settings/",
        "core/user/add/",
        f"core/user/{boss.pk}/hand-over/",
    )


def test_a_page_of_each_kind_can_be_used_by_everyone(places, monkeypatch):
    # Playwright's own event loop runs in this thread, which Django takes for a view's.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    problems = []
    with serving(make_application()) as address, chromium() as browser:
        page = watched_page(browser, f"http://{address}", problems, viewport=DESKTOP)
        sign_in(page, "boss")
        for i, place in enumerate(places):
            page.goto(f"/admin/{place}")
            # Every other page in the dark and on a phone.
            page.set_viewport_size((DESKTOP, PHONE)[i % 2])
            page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", bool(i % 2))
            page.wait_for_timeout(250)  # what fades has faded
            problems += [f"{place}: {fault}" for fault in accessibility_faults(page)]
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                problems.append(f"{place}: wider than the page")
        connections.close_all()  # those of the loop, which end with the server
    assert problems == []
