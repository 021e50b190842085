"""The boards of deals, leads and tasks: who sees which cards, and what moving one does."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.changes.models import Change
from lead_management.tests.factories import LeadFactory
from opportunities.models import Opportunity
from opportunities.tests.factories import LostReasonFactory, OpportunityFactory, PipelineFactory
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db
DEALS = "/admin/opportunities/opportunity/board/"
LEADS = "/admin/lead_management/lead/board/"
TASKS = "/admin/tasks/task/board/"


def columns(answer):
    """Key → (count, names of the cards) of a board's columns."""
    return {
        drawn.column.key: (drawn.figures.count, [card.title for card in drawn.cards])
        for drawn in answer.context["columns"]
    }


def move(client, url, record, to, **more):
    sent = {"id": record.pk, "version": record.version, "to": to, **more}
    answer = client.post(url, sent)
    return answer.status_code, answer.json()


def test_a_board_has_the_cards_that_its_reader_sees_in_their_columns(browser, robin, nora):
    OpportunityFactory(name="Ours", amount=Decimal(1000), currency="USD", owner=robin)
    OpportunityFactory(name="In euros", amount=Decimal(500), currency="EUR", owner=robin, stage="proposal")
    OpportunityFactory(name="Theirs", owner=nora)
    OpportunityFactory(name="Archived", owner=robin, archived_at=timezone.now())
    answer = browser(robin).get(DEALS)
    shown = columns(answer)
    assert shown["prospecting"] == ("1", ["Ours"])
    assert shown["proposal"] == ("1", ["In euros"])
    assert shown["closed_won"] == ("0", [])
    details = {drawn.column.key: list(drawn.figures.details) for drawn in answer.context["columns"]}
    assert details["prospecting"] == ["$1,000", "$100 weighted"]
    assert details["proposal"] == ["€500", "€250 weighted"]
    assert columns(browser(robin).get(DEALS, {"q": "euros"}))["prospecting"] == ("0", [])


def test_a_moved_card_is_a_change_as_any_other(browser, robin):
    deal = OpportunityFactory(owner=robin)
    status, body = move(browser(robin), DEALS, deal, "negotiation")
    assert (status, body["message"]) == (200, "")
    assert f'data-id="{deal.pk}"' in body["html"]
    deal.refresh_from_db()
    assert (deal.stage, deal.probability) == ("negotiation", 75)
    change = Change.objects.filter(entity="opportunity", object_id=deal.pk).latest("id")
    assert (change.source, change.actor_id) == ("admin", robin.pk)
    assert change.changes["stage"] == ["prospecting", "negotiation"]


def test_a_card_that_somebody_changed_meanwhile_stays_where_they_put_it(browser, robin):
    deal = OpportunityFactory(owner=robin)
    Opportunity.objects.filter(pk=deal.pk).update(stage="proposal")
    status, body = move(browser(robin), DEALS, deal, "negotiation")
    assert (status, body["message"]) == (
        409,
        "Somebody changed this record meanwhile: look at it again.",
    )
    deal.refresh_from_db()
    assert deal.stage == "proposal"


@pytest.mark.parametrize(
    "sent",
    [
        {"to": "negotiation"},
        {"id": "x", "to": "negotiation", "version": "1"},
        {"id": "9" * 30, "to": "negotiation", "version": "1"},
        {"to": "nowhere", "version": "1"},
        {},
    ],
)
def test_what_names_no_card_or_column_moves_nothing(browser, robin, sent):
    deal = OpportunityFactory(owner=robin)
    answer = browser(robin).post(DEALS, {"id": deal.pk, "version": 999, **sent})
    assert answer.status_code == 409
    deal.refresh_from_db()
    assert (deal.stage, deal.version) == ("prospecting", 1)


def test_nobody_moves_what_they_may_not_change(browser, robin, nora, staff):
    deal = OpportunityFactory(owner=nora)
    status, body = move(browser(robin), DEALS, deal, "negotiation")
    assert (status, body["message"]) == (409, "Not found.")
    viewer = staff("vera", "viewer", team=nora.team)
    page = browser(viewer).get(DEALS)
    assert [card.may_move for drawn in page.context["columns"] for card in drawn.cards] == [False]
    assert move(browser(viewer), DEALS, deal, "negotiation")[0] == 409
    deal.refresh_from_db()
    assert deal.stage == "prospecting"


def test_a_deal_is_lost_for_a_reason(browser, robin):
    deal = OpportunityFactory(owner=robin)
    LostReasonFactory(name="Price")
    [lost] = [one for one in browser(robin).get(DEALS).context["columns"] if one.column.key == "closed_lost"]
    assert (lost.column.asks, lost.column.choices) == ("lost_reason", ["Price"])
    status, body = move(browser(robin), DEALS, deal, "closed_lost")
    assert status == 409
    assert body["message"] == "A lost opportunity needs a reason."
    assert move(browser(robin), DEALS, deal, "closed_lost", answer="price")[0] == 200
    deal.refresh_from_db()
    assert (deal.status, deal.lost_reason) == ("lost", "Price")


def test_each_pipeline_has_a_board(browser, robin):
    other = PipelineFactory(name="Renewals", usual_stages=True)
    OpportunityFactory(name="Renewed", pipeline=other, owner=robin)
    answer = browser(robin).get(DEALS, {"pipeline__id__exact": other.pk})
    assert columns(answer)["prospecting"] == ("1", ["Renewed"])
    assert [(one.title, one.chosen) for one in answer.context["boards"]] == [
        ("Sales", False),
        ("Renewals", True),
    ]
    assert columns(browser(robin).get(DEALS, {"pipeline__id__exact": "x"}))["prospecting"] == ("0", [])


def test_a_deal_that_rests_too_long_is_marked(browser, robin):
    OpportunityFactory(name="Old", owner=robin)
    Opportunity.objects.update(stage_changed_at=timezone.now() - timedelta(days=90))
    assert "90 days here" in browser(robin).get(DEALS).content.decode()


def test_long_columns_come_in_parts_and_cost_the_same_statements(browser, robin):
    OpportunityFactory(owner=robin)
    client = browser(robin)
    client.get(DEALS)
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get(DEALS)
    OpportunityFactory.create_batch(29, owner=robin)
    with CaptureQueriesContext(connection) as many:
        answer = client.get(DEALS)
    assert len(many) == len(few)
    first = answer.context["columns"][0]
    assert (len(first.cards), first.more, first.figures.count) == (25, 25, "30")
    rest = client.get(DEALS, {"column": "prospecting", "after": "25"}).json()
    assert (rest["html"].count("<li"), rest["more"]) == (5, None)
    assert client.get(DEALS, {"column": "nowhere", "after": "25"}).status_code == 404
    assert client.get(DEALS, {"column": "prospecting", "after": "-1"}).status_code == 404


def test_a_lead_is_converted_by_its_own_verb_only(browser, robin):
    lead = LeadFactory(first_name="Ada", owner=robin)
    client = browser(robin)
    assert columns(client.get(LEADS))["new"][0] == "1"
    assert move(client, LEADS, lead, "converted")[0] == 409
    assert move(client, LEADS, lead, "qualified")[0] == 200
    lead.refresh_from_db()
    assert lead.status == "qualified"


def test_a_moved_task_is_due_at_the_end_of_that_day_where_its_reader_is(browser, staff):
    rep = staff("rosa", "rep", time_zone="America/Los_Angeles")
    task = TaskFactory(title="Call", owner=rep, due_date=timezone.now() - timedelta(days=3))
    client = browser(rep)
    assert columns(client.get(TASKS))["overdue"] == ("1", ["Call"])
    assert move(client, TASKS, task, "tomorrow")[0] == 200
    task.refresh_from_db()
    due = task.due_date.astimezone(rep.zone)
    tomorrow = timezone.now().astimezone(rep.zone).date() + timedelta(days=1)
    assert (due.date(), due.hour, due.minute) == (tomorrow, 23, 59)
    assert columns(client.get(TASKS))["tomorrow"] == ("1", ["Call"])
    assert move(client, TASKS, task, "none")[0] == 200
    task.refresh_from_db()
    assert task.due_date is None


def test_the_list_leads_to_the_board_of_what_it_shows(browser, robin):
    page = browser(robin).get("/admin/lead_management/lead/", {"status__exact": "new"})
    assert f"{LEADS}?status__exact=new" in page.content.decode()


@pytest.mark.parametrize("given", [{"p": "5"}, {"p": "x"}, {"all": ""}, {"o": "-1"}, {"e": "1"}])
def test_a_page_of_the_list_is_no_matter_for_the_board(browser, robin, given):
    OpportunityFactory(name="Ours", owner=robin)
    assert columns(browser(robin).get(DEALS, given))["prospecting"] == ("1", ["Ours"])


def test_what_narrows_by_nonsense_leads_to_the_whole_board(browser, robin):
    answer = browser(robin).get(DEALS, {"owner__id__exact": "x"})
    assert (answer.status_code, answer.url) == (302, DEALS)


def test_deals_that_were_closed_long_ago_are_in_the_list_alone(browser, robin):
    about = {"owner": robin, "stage": "closed_won", "amount": 100, "currency": "USD"}
    OpportunityFactory(name="Lately", actual_close_date=timezone.localdate() - timedelta(days=89), **about)
    OpportunityFactory(name="Long ago", actual_close_date=timezone.localdate() - timedelta(days=91), **about)
    answer = browser(robin).get(DEALS)
    assert columns(answer)["closed_won"] == ("1", ["Lately"])
    [won] = [one for one in answer.context["columns"] if one.column.key == "closed_won"]
    assert list(won.figures.details) == ["$100", "last 90 days"]


def test_closed_deals_are_read_along_their_index(browser, robin):
    deal = OpportunityFactory(owner=robin)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO opportunities_opportunity (name, pipeline_id, stage, owner_id, actual_close_date)"
            " SELECT 'Deal', %s, 'closed_won', %s, current_date - n / 2 FROM generate_series(1, 3000) n",
            [deal.pipeline_id, robin.pk],
        )
        cursor.execute("ANALYZE opportunities_opportunity")
    with CaptureQueriesContext(connection) as captured:
        answer = browser(robin).get(DEALS)
    # Two a day, of today one alone.
    assert columns(answer)["closed_won"][0] == "181"
    [cards] = {q["sql"] for q in captured if "\"stage\" = 'closed_won'" in q["sql"]}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {cards}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "opportunity_closed" in plan, plan


def test_a_task_that_recurs_is_not_offered_the_column_without_a_day(browser, robin):
    due = timezone.now() + timedelta(days=3)
    TaskFactory(title="Weekly", due_date=due, recurrence="FREQ=WEEKLY", owner=robin)
    TaskFactory(title="Once", due_date=due, owner=robin)
    drawn = [card for column in browser(robin).get(TASKS).context["columns"] for card in column.cards]
    assert {card.title: card.barred for card in drawn} == {"Weekly": ("none",), "Once": ()}
