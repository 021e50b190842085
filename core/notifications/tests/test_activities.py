"""Activities and comments over HTTP, and what they do to their record."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from core.activities.models import Activity, Comment, Follow, Mention
from core.changes import audit_context
from core.changes.dispatch import dispatch
from core.changes.models import Change
from core.entities.relation_transfer import move_related
from core.notifications import planning, sending
from core.notifications.models import Delivery, Notification
from core.notifications.tests.factories import DeliveryFactory, NotificationFactory

pytestmark = pytest.mark.django_db


def call(lead, **fields):
    return {"lead": lead.pk, "type": "call", "subject": "Intro", "duration": 300} | fields


def test_a_call_raises_what_the_lead_counts(api, rep, new_lead):
    lead = new_lead(rep, assigned_to=rep)
    happened = timezone.now() - timedelta(hours=2)
    response = api(rep).post("/api/v1/activities/", call(lead, happened_at=happened.isoformat()))
    assert response.status_code == 201, response.json()
    made = response.json()
    assert (made["lead"], made["entity"], made["object_id"]) == (lead.pk, "lead", lead.pk)
    assert (made["contact"], made["direction"], made["duration"]) == (None, "outbound", 300)
    assert made["author"] == {"id": rep.pk, "username": rep.username, "full_name": rep.username}
    lead.refresh_from_db()
    assert (lead.call_attempts, lead.engagement_count, lead.last_contacted_at) == (1, 1, happened)


def test_only_calls_out_are_attempts_and_notes_touch_nobody(api, rep, new_lead):
    lead = new_lead(rep, assigned_to=rep)
    for extra in ({"direction": "inbound"}, {"type": "email"}, {"type": "note"}):
        assert api(rep).post("/api/v1/activities/", call(lead, **extra)).status_code == 201
    lead.refresh_from_db()
    assert (lead.call_attempts, lead.engagement_count) == (0, 2)


def test_changing_and_deleting_an_activity_corrects_the_counts(api, rep, new_lead):
    lead = new_lead(rep, assigned_to=rep)
    client = api(rep)
    first = client.post("/api/v1/activities/", call(lead)).json()["id"]
    client.post("/api/v1/activities/", call(lead))
    assert client.patch(f"/api/v1/activities/{first}/", {"type": "note"}).status_code == 200
    lead.refresh_from_db()
    assert (lead.call_attempts, lead.engagement_count) == (1, 1)
    assert client.delete(f"/api/v1/activities/{first}/").status_code == 204
    lead.refresh_from_db()
    assert (lead.call_attempts, lead.engagement_count) == (1, 1)


def test_raw_sql_is_counted_too_and_an_old_call_moves_no_date_back(new_lead, rep):
    lead = new_lead(rep, assigned_to=rep, last_contacted_at=timezone.now(), call_attempts=3)
    old = timezone.now() - timedelta(days=30)
    rows = [
        Activity(entity="lead", object_id=lead.pk, type="call", subject="x", happened_at=old)
        for _ in range(2)
    ]
    Activity.objects.bulk_create(rows)
    before = lead.last_contacted_at
    lead.refresh_from_db()
    assert (lead.call_attempts, lead.engagement_count, lead.last_contacted_at) == (5, 2, before)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "fax"}, "type"),
        ({"direction": "sideways"}, "direction"),
        ({"duration": -1}, "duration"),
        ({"duration": "long"}, "duration"),
        ({"subject": ""}, "subject"),
        ({"author": 1}, "author"),
        ({"colour": "red"}, "colour"),
        ({"lead": None}, "entity"),
        ({"contact": 7}, "entity"),
        ({"happened_at": "2999-01-01T00:00:00Z"}, "happened_at"),
        ({"happened_at": "yesterday"}, "happened_at"),
        ({"lead": 999_999}, "lead"),
        ({"lead": None, "entity": "spaceship", "object_id": 1}, "spaceship"),
        ({"lead": None, "entity": "lead"}, "entity"),
    ],
)
def test_a_wrong_activity_is_refused_and_nothing_is_kept(api, rep, new_lead, change, field):
    body = call(new_lead(rep, assigned_to=rep)) | change
    response = api(rep).post("/api/v1/activities/", body)
    assert response.status_code == 400
    assert field in [e["field"] for e in response.json()["errors"]]
    assert Activity.objects.count() == 0


def test_the_record_may_be_named_by_entity_and_id(api, rep, new_lead):
    lead = new_lead(rep, assigned_to=rep)
    body = {"entity": "lead", "object_id": lead.pk, "type": "note", "subject": "x"}
    assert api(rep).post("/api/v1/activities/", body).json()["lead"] == lead.pk


def test_what_hangs_on_a_hidden_record_is_hidden(api, rep, make_user, new_lead):
    lead = new_lead(rep, assigned_to=rep)
    mine = api(rep).post("/api/v1/activities/", call(lead)).json()
    stranger = api(make_user("rep"))
    assert stranger.get("/api/v1/activities/").json()["count"] == 0
    assert stranger.get(f"/api/v1/activities/{mine['id']}/").status_code == 404
    assert stranger.patch(f"/api/v1/activities/{mine['id']}/", {"subject": "x"}).status_code == 404
    assert stranger.post("/api/v1/activities/", call(lead)).status_code == 400
    assert Activity.objects.get().subject == "Intro"


def test_who_sees_it_may_read_but_only_its_author_changes_it(api, rep, make_user, admin_user, new_lead, team):
    rep.team = team
    rep.save()
    lead = new_lead(rep, assigned_to=rep)
    mine = api(rep).post("/api/v1/activities/", call(lead)).json()["id"]
    manager, viewer = api(make_user("manager", team=team)), api(make_user("viewer", team=team))
    assert manager.get(f"/api/v1/activities/{mine}/").status_code == 200
    assert manager.patch(f"/api/v1/activities/{mine}/", {"subject": "x"}).status_code == 403
    assert viewer.get("/api/v1/activities/").json()["count"] == 1
    assert viewer.post("/api/v1/activities/", call(lead)).status_code == 403
    assert api(admin_user).patch(f"/api/v1/activities/{mine}/", {"subject": "Y"}).status_code == 200
    assert Activity.objects.get().subject == "Y"


def test_activities_are_found_by_record_type_and_author(api, rep, new_lead):
    client, one, other = api(rep), new_lead(rep, assigned_to=rep), new_lead(rep, assigned_to=rep)
    for lead, kind in ((one, "call"), (one, "note"), (other, "call")):
        client.post("/api/v1/activities/", call(lead, type=kind))

    def count(query):
        return client.get(f"/api/v1/activities/?{query}").json()["count"]

    assert (count(f"lead={one.pk}"), count("type=call"), count(f"lead={one.pk}&type=call")) == (2, 2, 1)
    assert (count(f"author={rep.pk}"), count(f"contact={one.pk}")) == (3, 0)
    assert client.get("/api/v1/activities/?lead=x").status_code == 400
    assert client.get("/api/v1/activities/?colour=red").status_code == 400


@pytest.mark.parametrize("body", ["@ada@crm.example: look", "Ask @Ada@CRM.example.", "@ada@crm.example@"])
def test_a_comment_mentions_by_the_address_one_signs_in_with(api, rep, make_user, new_lead, team, body):
    ada, nameless = make_user("manager", email="ada@crm.example", team=team), make_user("manager", team=team)
    stranger = make_user("rep", email="eve@crm.example")
    rep.team = team
    rep.save()
    lead = new_lead(rep, assigned_to=rep)
    more = " @eve@crm.example me@ada@crm.example"
    made = api(rep).post("/api/v1/comments/", {"lead": lead.pk, "body": body + more}).json()
    assert made["mentions"] == [ada.pk]
    assert not {nameless.pk, stranger.pk} & set(Mention.objects.values_list("user", flat=True))


def test_a_comment_keeps_whom_it_mentions_and_its_versions(api, rep, make_user, new_lead, team):
    bob, eve = make_user("manager", username="Bob.Smith", team=team), make_user("rep", username="eve")
    rep.team = team
    rep.save()
    lead = new_lead(rep, assigned_to=rep)
    body = "@bob.smith, ask @eve. Not x@bob.smith or @nobody!"
    made = api(rep).post("/api/v1/comments/", {"lead": lead.pk, "body": body}).json()
    assert made["mentions"] == [bob.pk], "eve does not see the lead, so her name is text"
    changed = api(rep).patch(f"/api/v1/comments/{made['id']}/", {"body": "Never mind"}).json()
    assert changed["mentions"] == []
    assert changed["edited_at"]
    history = api(rep).get(f"/api/v1/comments/{made['id']}/history/").json()["results"]
    assert [h["kind"] for h in history] == ["updated", "created"]
    assert history[0]["changes"]["body"] == {"old": body, "new": "Never mind"}
    assert eve.pk not in Mention.objects.values_list("user", flat=True)


def test_an_unchanged_comment_is_not_edited(api, rep, new_lead):
    lead = new_lead(rep, assigned_to=rep)
    made = api(rep).post("/api/v1/comments/", {"lead": lead.pk, "body": "Same"}).json()
    again = api(rep).patch(f"/api/v1/comments/{made['id']}/", {"body": "Same"}).json()
    assert again["edited_at"] is None


def test_moving_to_another_record_takes_activities_and_comments_along(api, rep, new_lead):
    lead, target = new_lead(rep, assigned_to=rep), new_lead(rep, assigned_to=rep)
    api(rep).post("/api/v1/activities/", call(lead))
    api(rep).post("/api/v1/comments/", {"lead": lead.pk, "body": "Hello"})
    with audit_context(rep):
        moved = move_related(("lead", lead.pk), ("lead", target.pk))
    assert (moved["activities"], moved["comments"]) == (1, 1)
    assert Comment.objects.get().object_id == target.pk
    lead.refresh_from_db()
    target.refresh_from_db()
    assert (lead.call_attempts, target.call_attempts) == (1, 1), "what happened stays counted where it did"


def test_what_hung_on_a_record_goes_when_it_is_deleted_for_good(api, admin, admin_user, new_lead):
    lead = new_lead(admin_user)
    admin.post("/api/v1/activities/", call(lead))
    admin.post("/api/v1/comments/", {"lead": lead.pk, "body": f"@{admin_user.username}"})
    dispatch()
    notified = NotificationFactory(recipient=admin_user, type="mention", entity="lead", object_id=lead.pk)
    DeliveryFactory(notification=notified, channel="email")
    assert Follow.objects.count() == 1
    assert admin.delete(f"/api/v1/leads/{lead.pk}/?hard=true").status_code == 204
    dispatch()
    assert (Activity.objects.count(), Comment.objects.count(), Mention.objects.count()) == (0, 0, 0)
    assert Follow.objects.count() == 0
    assert (Notification.objects.count(), Delivery.objects.count()) == (0, 0)
    assert Change.objects.filter(entity="comment", kind="deleted").count() == 1


def test_what_is_taken_out_of_a_comment_is_taken_out_of_inboxes_and_waiting_mails(
    api, rep, admin_user, make_user, new_lead
):
    """A password that slipped into a comment, and both ways to take it back."""
    follower, writer = make_user("admin"), api(admin_user)
    lead = new_lead(admin_user, owner=admin_user, assigned_to=rep)
    api(follower).post(f"/api/v1/leads/{lead.pk}/follow/")
    dispatch()
    Notification.objects.all().delete()
    bodies = Notification.objects.order_by("type").values_list("recipient", "body")

    first, second = f"@{rep.username} it is hunter2", f"@{rep.username} ask me"
    said = writer.post("/api/v1/comments/", {"lead": lead.pk, "body": first}).json()
    dispatch()
    assert list(bodies) == [(follower.pk, first), (rep.pk, first)]
    planning.plan()
    writer.patch(f"/api/v1/comments/{said['id']}/", {"body": second})
    dispatch()
    assert list(bodies.all()) == [(follower.pk, second), (rep.pk, second)]
    writer.delete(f"/api/v1/comments/{said['id']}/")
    dispatch()
    assert list(bodies.all()) == [(follower.pk, "")]
    sending.send_due()
    assert [sent for sent in mail.outbox if sent.to == [rep.email]] == []


def test_who_is_no_longer_named_is_not_notified_of_it(api, rep, admin_user, new_lead):
    writer, lead = api(admin_user), new_lead(admin_user, owner=admin_user, assigned_to=rep)
    dispatch()
    said = writer.post("/api/v1/comments/", {"lead": lead.pk, "body": f"@{rep.username} look"}).json()
    dispatch()
    writer.patch(f"/api/v1/comments/{said['id']}/", {"body": "look"})
    dispatch()
    assert not Notification.objects.filter(recipient=rep, type="mention").exists()
