"""A won deal is told to its followers and to the owner's managers, each once."""

import pytest

from core.accounts.tests.factories import TeamFactory
from core.activities.tests.factories import FollowFactory
from core.changes import audit_context
from core.changes.dispatch import dispatch
from core.notifications import types
from core.notifications.models import Notification
from opportunities.models import Opportunity

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(make_user):
    """A seller, their manager two teams up, somebody in between, a colleague who follows, a stranger."""
    top = TeamFactory(name="Top")
    middle = TeamFactory(name="Middle", parent=top)
    west = TeamFactory(name="West", parent=middle)
    return {
        "seller": make_user("rep", team=west, first_name="Sam"),
        "boss": make_user("manager", team=top),
        "viewer": make_user("viewer", team=west),
        "colleague": make_user("rep", team=west),
        "other_boss": make_user("manager", team=TeamFactory(name="East")),
        "closer": make_user("admin", first_name="Ada", last_name="Byron"),
    }


def notified():
    rows = Notification.objects.exclude(type="assignment").order_by("recipient_id", "id")
    return [(n.recipient.role, n.type, n.title, n.body, n.count) for n in rows]


def win(actor, *deals):
    dispatch()
    Notification.objects.all().delete()
    with audit_context(actor):
        Opportunity.objects.filter(pk__in=[deal.pk for deal in deals]).update(stage="closed_won")
    dispatch()


def test_a_won_deal_is_notified_once_to_each(make_deal, people):
    deal = make_deal(name="Engine", owner=people["seller"], assigned_to=people["colleague"])
    FollowFactory(user=people["viewer"], record=deal)
    FollowFactory(user=people["boss"], record=deal)
    win(people["closer"], deal)
    deal.refresh_from_db()
    assert deal.status == "won"
    assert notified() == [
        (people[who].role, "deal_won", "Deal won: Engine", "By Ada Byron", 1)
        for who in ("seller", "boss", "viewer", "colleague")
    ]


def test_who_won_it_is_not_notified(make_deal, people):
    deal = make_deal(name="Engine", owner=people["seller"])
    win(people["seller"], deal)
    assert [(role, kind) for role, kind, *_ in notified()] == [("manager", "deal_won")]


def test_a_manager_of_the_owners_own_team_comes_before_one_above(make_deal, people, make_user):
    near = make_user("manager", team=people["seller"].team)
    deal = make_deal(owner=people["seller"])
    win(people["closer"], deal)
    assert set(Notification.objects.filter(type="deal_won").values_list("recipient", flat=True)) == {
        people["seller"].pk,
        near.pk,
    }


def test_other_stages_are_notified_as_before(make_deal, people):
    deal = make_deal(name="Deal", owner=people["seller"])
    dispatch()
    with audit_context(people["closer"]):
        Opportunity.objects.filter(pk=deal.pk).update(stage="proposal")
    dispatch()
    assert [(role, kind, title) for role, kind, title, *_ in notified()] == [
        ("rep", "update", "Deal: stage is now proposal")
    ]


def test_many_at_once_are_one_line(make_deal, people):
    deals = [make_deal(name=str(n), owner=people["seller"]) for n in range(5)]
    win(people["closer"], *deals)
    assert [(role, kind, title, count) for role, kind, title, _, count in notified()] == [
        ("rep", "deal_won", "5 deals were won", 5),
        ("manager", "deal_won", "5 deals were won", 5),
    ]


def test_it_is_among_ones_preferences(api, people):
    shown = api(people["boss"]).get("/api/v1/notifications/preferences/").json()["types"]["deal_won"]
    assert shown == {"in_app": True, "email": True, "push": False, "sms": False}
    assert types.types["deal_won"].label == "A deal you follow, or of your team, is won"
