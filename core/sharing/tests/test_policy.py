"""What a share gives the right to, asked of the policy: rows, parts of a union and viewers say the same."""

import random
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from core.access import TEAM_REACH, Permission
from core.accounts.models import User
from core.accounts.tests.factories import TeamFactory
from core.sharing.models import Share
from core.sharing.tasks import forget_shares
from core.sharing.tests.factories import ShareFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from tests.records import ENTITIES, record

pytestmark = pytest.mark.django_db
YESTERDAY = timezone.now() - timedelta(days=1)
TOMORROW = timezone.now() + timedelta(days=1)


def allowed(found, user):
    """The actions that `user` may do on a record."""
    rows = type(found).objects.filter(pk=found.pk)
    return {str(action) for action in Permission if rows.visible_to(user, action).exists()}


def viewing(action=Permission.VIEW):
    """Pairs of (user, lead) as `viewers` finds them."""
    condition = Lead.policy.viewers("r", "u", action)
    with connection.cursor() as cursor:
        cursor.execute(
            f"{TEAM_REACH} SELECT u.id, r.id FROM core_user u"  # noqa: S608
            f" CROSS JOIN lead_management_lead r WHERE {condition}"
        )
        return set(cursor.fetchall())


@pytest.mark.parametrize("name", ENTITIES)
def test_a_share_gives_reading_or_changing_and_nothing_else(people, name):
    found = record(name, "Shared", owner=people["owner"])
    assert allowed(found, people["rep"]) == set()
    share = ShareFactory(record=found, user=people["rep"])
    assert allowed(found, people["rep"]) == {"view"}
    share.access = "write"
    share.save()
    assert allowed(found, people["rep"]) == {"view", "change"}
    assert allowed(found, people["stranger"]) == set()


def test_a_share_with_a_team_holds_for_it_and_those_below(people):
    lead = LeadFactory(owner=people["owner"])
    ShareFactory(record=lead, team=people["west"], access="write")
    seeing = {
        name for name in ("rep", "below", "viewer", "manager", "stranger") if allowed(lead, people[name])
    }
    assert seeing == {"rep", "below", "viewer"}
    Share.objects.update(team=people["inside"])
    assert allowed(lead, people["below"]) == {"view", "change"}
    assert allowed(lead, people["rep"]) == set()


def test_a_viewer_only_reads_what_may_be_changed(people):
    lead = LeadFactory(owner=people["owner"])
    ShareFactory(record=lead, user=people["viewer"], access="write")
    assert allowed(lead, people["viewer"]) == {"view"}


def test_rights_end_with_the_share(people):
    lead = LeadFactory(owner=people["owner"])
    share = ShareFactory(record=lead, user=people["rep"], access="write", expires_at=TOMORROW)
    assert allowed(lead, people["rep"]) == {"view", "change"}
    Share.objects.update(expires_at=YESTERDAY)
    assert allowed(lead, people["rep"]) == set()
    assert viewing() & {(people["rep"].pk, lead.pk)} == set()
    share.delete()
    assert allowed(lead, people["rep"]) == set()


def test_who_was_deactivated_sees_nothing_that_is_shared(people):
    lead = LeadFactory(owner=people["owner"])
    ShareFactory(record=lead, user=people["rep"])
    people["rep"].is_active = False
    people["rep"].save()
    assert allowed(lead, people["rep"]) == set()
    assert (people["rep"].pk, lead.pk) not in viewing()


def test_what_is_shared_goes_with_the_user_and_with_the_team(people):
    lead = LeadFactory(owner=people["owner"])
    ShareFactory(record=lead, user=people["stranger"])
    ShareFactory(record=lead, team=people["inside"])
    people["stranger"].delete()
    people["below"].team = None
    people["below"].save()
    people["inside"].delete()
    assert not Share.objects.exists()


def test_the_same_id_of_another_entity_is_not_shared(people):
    lead = LeadFactory(owner=people["owner"])
    ShareFactory(entity="contact", object_id=lead.pk, user=people["rep"])
    assert allowed(lead, people["rep"]) == set()


@pytest.mark.parametrize("seed", range(6))
def test_rows_unions_and_viewers_agree_whatever_is_owned_and_shared(make_user, seed):
    """Random owners, teams and shares: three ways to ask the same question."""
    dice = random.Random(seed)  # noqa: S311
    teams = [TeamFactory(name=f"T{n}") for n in range(4)]
    for n, team in enumerate(teams[1:], 1):
        team.parent = dice.choice([None, *teams[:n]])
        team.save()
    users = [make_user(role, team=dice.choice([None, *teams])) for role in ["rep", "manager", "viewer"] * 3]
    users += [make_user("admin"), make_user("rep", team=teams[0], is_active=False)]
    leads = [
        LeadFactory(owner=dice.choice([None, *users]), assigned_to=dice.choice([None, *users]))
        for _ in range(12)
    ]
    for lead in leads:
        for whom in dice.sample([*users, *teams], dice.randrange(4)):
            ShareFactory(
                record=lead,
                **{"user" if isinstance(whom, User) else "team": whom},
                access=dice.choice(["read", "write"]),
                expires_at=dice.choice([None, YESTERDAY, TOMORROW]),
            )
    for action in (Permission.VIEW, Permission.CHANGE):
        asked, rows, unions = viewing(action), set(), set()
        for user in users:
            found = Lead.objects.visible_to(User.objects.get(pk=user.pk), action)
            listed = [(user.pk, pk) for pk in found.values_list("pk", flat=True)]
            assert len(listed) == len(set(listed))
            rows |= set(listed)
            unions |= {(user.pk, lead.pk) for part in found.parts for lead in part}
        assert rows == unions == asked


def test_shares_are_looked_up_by_their_own_indexes_and_records_by_theirs(people):
    """No whole table is read: the union's parts, and their OR, go by owner, assignee and primary key."""
    Lead.objects.bulk_create([Lead(first_name=f"L{n}", owner=people["owner"]) for n in range(300)])
    ShareFactory(record=Lead.objects.first(), user=people["rep"])
    rows = Lead.objects.visible_to(people["rep"])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = rows.order_by().explain()
    assert "BitmapOr" in plan
    for name in ("lead_by_owner", "lead_by_assignee", "lead_management_lead_pkey"):
        assert name in plan, plan
    assert "Seq Scan on core_share" not in plan
    assert "lead_management_lead_pkey" in rows.parts[2].order_by().explain()


def test_whom_nothing_is_shared_with_is_asked_as_before_there_were_shares(people):
    rep = people["rep"]
    rep.may_have_shares = False
    assert "core_share" not in str(Lead.objects.visible_to(rep).query)
    assert len(Lead.objects.visible_to(rep).parts) == 2


def test_what_has_expired_is_deleted_a_day_later(people, settings):
    lead = LeadFactory(owner=people["owner"])
    ago = {name: timezone.now() - timedelta(hours=hours) for name, hours in (("rep", 25), ("below", 23))}
    for name, moment in ago.items():
        ShareFactory(record=lead, user=people[name], expires_at=moment)
    kept = [ShareFactory(record=lead, user=people[name]) for name in ("viewer", "manager")]
    kept[0].expires_at = TOMORROW
    kept[0].save()
    assert forget_shares() == 1
    assert list(Share.objects.order_by("pk").values_list("user", flat=True)) == [
        people[name].pk for name in ("below", "viewer", "manager")
    ]
    settings.CRM = {**settings.CRM, "SHARE_DAYS": 0}
    assert (forget_shares(), forget_shares()) == (1, 0)
    assert list(Share.objects.order_by("pk")) == kept
