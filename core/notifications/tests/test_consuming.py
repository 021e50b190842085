"""Which changes tell whom: through the change table, set at a time."""

from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.access import TEAM_REACH
from core.accounts.tests.factories import TeamFactory
from core.activities import mentions
from core.activities.models import Comment, Follow
from core.activities.tests.factories import CommentFactory
from core.changes import audit_context
from core.changes.dispatch import dispatch
from core.entities import entities
from core.notifications.models import Notification
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


def comment(author, lead, body):
    with audit_context(author):
        made = CommentFactory(record=lead, body=body, author=author)
        mentions.save_mentions(made)
    return made


def test_an_assignment_notifies_the_assignee_and_not_who_made_it(admin_user, rep, new_lead, inbox):
    lead = new_lead(admin_user, owner=admin_user, assigned_to=rep)
    (notified,) = inbox(rep)
    assert (notified.type, notified.title) == (
        "assignment",
        f"{admin_user.username} assigned you the lead Ada Byron",
    )
    assert (notified.entity, notified.object_id, notified.actor_id, notified.count) == (
        "lead",
        lead.pk,
        admin_user.pk,
        1,
    )
    assert inbox(admin_user) == []


def test_taking_a_lead_oneself_notifies_nobody(rep, new_lead, inbox):
    new_lead(rep, assigned_to=rep)
    assert inbox(rep) == []


def test_an_assignment_through_an_update_notifies_only_the_last_assignee(
    admin_user, rep, make_user, new_lead, inbox
):
    other = make_user("rep")
    lead = new_lead(admin_user, owner=admin_user)
    assert inbox(rep) == []
    with audit_context(admin_user):
        Lead.objects.filter(pk=lead.pk).update(assigned_to=other)
        Lead.objects.filter(pk=lead.pk).update(assigned_to=rep)
    assert [n.type for n in inbox(rep)] == ["assignment"]
    assert inbox(other) == []


def test_created_and_assigned_at_once_is_notified_once(admin_user, rep, new_lead, inbox):
    lead = new_lead(admin_user)
    with audit_context(admin_user):
        Lead.objects.filter(pk=lead.pk).update(assigned_to=rep)
    assert len(inbox(rep)) == 1


def test_many_assignments_become_one_that_grows_until_it_is_read(admin_user, rep, inbox):
    def assign(count):
        with audit_context(admin_user):
            Lead.objects.bulk_create(
                [Lead(first_name=f"L{i}", assigned_to=rep, owner=admin_user) for i in range(count)]
            )

    assign(12)
    (notified,) = inbox(rep)
    assert (notified.title, notified.count, notified.object_id) == ("12 leads were assigned to you", 12, None)
    assign(5)
    (notified,) = inbox(rep)
    assert (notified.title, notified.count) == ("17 leads were assigned to you", 17)
    Notification.objects.update(read_at=notified.created_at)
    assign(4)
    assert [n.title for n in inbox(rep)] == ["4 leads were assigned to you", "17 leads were assigned to you"]


def test_three_assignments_stand_by_themselves(admin_user, rep, inbox):
    with audit_context(admin_user):
        Lead.objects.bulk_create([Lead(first_name=f"L{i}", assigned_to=rep) for i in range(3)])
    assert len(inbox(rep)) == 3


def test_feeding_the_same_changes_again_notifies_nothing_again(admin_user, rep, new_lead, inbox):
    from core.changes import ChangeBatch
    from core.changes.models import Change
    from core.notifications.consumer import consume

    new_lead(admin_user, owner=admin_user, assigned_to=rep)
    assert len(inbox(rep)) == 1
    consume(ChangeBatch("lead", True, list(Change.objects.values_list("pk", flat=True))))
    assert len(inbox(rep)) == 1


def test_touching_follows(admin_user, rep, make_user, new_lead):
    lead = new_lead(admin_user, owner=admin_user, assigned_to=rep)
    dispatch()
    other = make_user("admin")
    comment(other, lead, "Hello")
    dispatch()
    found = Follow.objects.order_by("user").values_list("user", "reason")
    assert list(found) == [(admin_user.pk, "owner"), (rep.pk, "assignee"), (other.pk, "commenter")]


def test_who_left_is_not_brought_back_by_other_changes(admin_user, rep, new_lead):
    lead = new_lead(admin_user, owner=admin_user, assigned_to=rep)
    dispatch()
    Follow.objects.filter(user=rep).delete()
    with audit_context(admin_user):
        Lead.objects.filter(pk=lead.pk).update(status="contacted")
    dispatch()
    assert list(Follow.objects.values_list("user", flat=True)) == [admin_user.pk]


def test_followers_hear_of_a_status_and_repetitions_merge(admin_user, rep, new_lead, inbox):
    lead = new_lead(admin_user, owner=admin_user, assigned_to=rep)
    dispatch()
    for status in ("contacted", "qualified"):
        with audit_context(admin_user):
            Lead.objects.filter(pk=lead.pk).update(status=status)
        dispatch()
    (notified,) = inbox(rep, type="update")
    assert (notified.title, notified.count) == ("Ada Byron: status is now qualified (2 changes)", 2)
    assert inbox(admin_user) == []


def test_unwatched_columns_notify_nobody(admin_user, rep, new_lead, inbox):
    lead = new_lead(admin_user, owner=admin_user, assigned_to=rep)
    with audit_context(admin_user):
        Lead.objects.filter(pk=lead.pk).update(city="Berlin")
    assert inbox(rep, type="update") == []


@pytest.mark.parametrize(("old", "new", "expected"), [(70, 71, 1), (50, 70, 0), (80, 90, 0), (90, 60, 0)])
def test_a_score_is_notified_when_it_rises_above_the_mark(rep, new_lead, inbox, old, new, expected):
    lead = new_lead(None, assigned_to=rep, lead_score=old)
    dispatch()
    with audit_context():
        Lead.objects.filter(pk=lead.pk).update(lead_score=new)
    assert len(inbox(rep, type="score")) == expected


def test_a_comment_notifies_followers_and_those_mentioned_but_each_once(
    admin_user, rep, make_user, new_lead, inbox
):
    boss = make_user("admin", username="boss")
    lead = new_lead(admin_user, owner=admin_user, assigned_to=rep)
    dispatch()
    comment(rep, lead, "@boss please look. @rep too")
    assert [(n.type, n.title) for n in inbox(boss)] == [
        ("mention", f"{rep.username} mentioned you on Ada Byron")
    ]
    assert [(n.type, n.title, n.body) for n in inbox(admin_user)] == [
        ("comment", f"{rep.username} commented on Ada Byron", "@boss please look. @rep too")
    ]
    assert inbox(rep, type="comment") == []
    comment(rep, lead, "And again")
    (notified,) = inbox(admin_user)
    assert (notified.title, notified.count, notified.body) == ("2 new comments on Ada Byron", 2, "And again")


def test_an_edit_notifies_only_those_newly_mentioned(admin_user, rep, make_user, new_lead, inbox):
    boss, other = make_user("admin", username="boss"), make_user("admin", username="other")
    lead = new_lead(admin_user, owner=admin_user, assigned_to=rep)
    made = comment(rep, lead, "@boss look")
    dispatch()
    with audit_context(rep):
        made.body = "@boss @other look"
        made.save(update_fields=["body"])
        mentions.save_mentions(made)
    assert len(inbox(boss, type="mention")) == 1
    assert len(inbox(other, type="mention")) == 1
    assert len(inbox(admin_user, type="comment")) == 1


def test_followers_who_no_longer_see_the_record_are_not_notified(admin_user, rep, make_user, new_lead, inbox):
    lead = new_lead(admin_user, owner=admin_user, assigned_to=rep)
    dispatch()
    with audit_context(admin_user):
        Lead.objects.filter(pk=lead.pk).update(assigned_to=make_user("rep"), status="contacted")
    assert inbox(rep, type="update") == []
    assert Follow.objects.filter(user=rep).exists()


def test_inactive_users_are_not_notified(admin_user, rep, new_lead, inbox):
    rep.is_active = False
    rep.save()
    new_lead(admin_user, owner=admin_user, assigned_to=rep)
    assert inbox(rep) == []


def test_the_number_of_statements_does_not_depend_on_the_followers(admin_user, make_user, new_lead):
    def statements(followers):
        lead = new_lead(admin_user, owner=admin_user)
        dispatch()
        Follow.objects.bulk_create([Follow(user=u, entity="lead", object_id=lead.pk) for u in followers])
        with audit_context(admin_user):
            Lead.objects.filter(pk=lead.pk).update(status="contacted")
        with CaptureQueriesContext(connection) as captured:
            dispatch()
        return len(captured)

    users = [make_user("admin") for _ in range(12)]
    assert statements(users[:1]) == statements(users)
    assert Notification.objects.filter(type="update").count() == 13


def seen_by_statement(user, model):
    sees = model.policy.viewers("r", "u")
    tables = f"{model._meta.db_table} r, core_user u"
    statement = f"{TEAM_REACH} SELECT r.id FROM {tables} WHERE u.id = %s AND {sees}"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(statement, [user.pk])
        return {row[0] for row in cursor.fetchall()}


def test_both_forms_of_the_policy_agree_for_every_role_and_place(make_user):
    west = TeamFactory(name="West")
    teams = SimpleNamespace(
        west=west, coast=TeamFactory(name="Coast", parent=west), east=TeamFactory(name="East")
    )
    people = [
        make_user(role, team=team)
        for role in ("admin", "manager", "rep", "viewer")
        for team in (teams.west, teams.coast, teams.east, None)
    ]
    people.append(make_user("rep", is_superuser=True))
    people.append(make_user("manager", team=teams.west, is_active=False))
    with audit_context():
        for owner in (*people, None):
            for assignee in (people[5], people[9], None):
                LeadFactory(first_name="x", owner=owner, assigned_to=assignee)
    for user in people:
        expected = set(entities["lead"].visible_to(user).values_list("pk", flat=True))
        assert seen_by_statement(user, Lead) == expected, f"{user.role} in {user.team}"


def test_a_comment_that_a_workflow_writes_mentions_as_one_by_hand_does(
    make_user, make_workflow, make_lead, settle, inbox, admin_user
):
    """Whoever may see the record is told; a name of somebody who may not is text."""
    ada, stranger = make_user("manager", username="ada"), make_user("rep", username="stranger")
    body = "@ada and @stranger: look at {{ lead.first_name }}, says x@nobody.example"
    make_workflow([("add_comment", {"body": body})])
    make_lead(first_name="Grace", owner=ada.pk)
    assert [run.status for run in settle()] == ["completed"]
    comment = Comment.objects.get()
    assert [mention.user for mention in comment.mentions.all()] == [ada]
    notified = inbox(ada, type="mention")
    assert [(n.object_id, n.actor_id) for n in notified] == [(comment.object_id, admin_user.pk)]
    assert notified[0].body == "@ada and @stranger: look at Grace, says x@nobody.example"
    assert inbox(stranger, type="mention") == []
