"""The live channel: a real server, a real WebSocket client, a real Valkey."""

import asyncio
import json
import threading
import time
from contextlib import asynccontextmanager

import pytest
import websockets
from asgiref.sync import sync_to_async
from django.db import OperationalError
from websockets.exceptions import ConnectionClosed, InvalidStatus

from backend.development.embedded import ports
from core.accounts import keys, sessions, tickets
from core.accounts.models import Session
from core.accounts.origin import Origin
from core.accounts.tickets import Principal
from core.changes import audit_context
from core.changes.dispatch import dispatch
from core.notifications import planning
from core.notifications.api import live
from core.notifications.models import Notification
from core.notifications.tests.factories import NotificationFactory
from core.sharing.models import Share
from core.sharing.tests.factories import ShareFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in(user):
    return sessions.begin(user, Origin("127.0.0.1", "test"))


def bearing(token):
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def connected(server, issued, **options):
    headers = {"Authorization": f"Bearer {issued.access}"} | options.pop("headers", {})
    async with websockets.connect(
        f"ws://{server}/ws/notifications/", additional_headers=headers, **options
    ) as ws:
        yield ws, json.loads(await asyncio.wait_for(ws.recv(), 5))


async def event(ws, seconds=5):
    return json.loads(await asyncio.wait_for(ws.recv(), seconds))


def progress(user, title="Hello", **fields):
    NotificationFactory(recipient=user, type="mention", title=title, **fields)
    planning.plan()


async def refused(url, **options):
    """The HTTP status a handshake is refused with."""
    with pytest.raises(InvalidStatus) as caught:
        async with websockets.connect(url, **options):
            pass
    return caught.value.response.status_code


def test_a_new_notification_arrives(server, rep):
    async def scenario():
        issued = await sync_to_async(signed_in)(rep)
        async with connected(server, issued) as (ws, hello):
            assert hello == {"event": "hello", "unread": 0}
            await sync_to_async(progress)(rep)
            notified = await event(ws)
            assert notified["event"] == "notification"
            assert (notified["notification"]["title"], notified["notification"]["type"]) == (
                "Hello",
                "mention",
            )

    asyncio.run(scenario())


def test_nobody_hears_what_others_are_notified(server, rep, make_user):
    other = make_user("admin")

    async def scenario():
        issued = await sync_to_async(signed_in)(rep)
        async with connected(server, issued) as (ws, _):
            await sync_to_async(progress)(other, "Secret")
            await sync_to_async(progress)(rep, "Mine")
            assert (await event(ws))["notification"]["title"] == "Mine"

    asyncio.run(scenario())


def make_lead(**fields):
    with audit_context():
        return LeadFactory(first_name="Ada", **fields)


def change(*leads):
    with audit_context():
        for lead in leads:
            Lead.objects.filter(pk=lead.pk).update(city=f"City {time.monotonic()}")
    dispatch()


def test_changes_of_visible_records_arrive_where_they_were_asked_for(server, rep):
    mine, hidden = make_lead(assigned_to=rep), make_lead()
    dispatch()

    async def scenario():
        issued = await sync_to_async(signed_in)(rep)
        async with connected(server, issued) as (ws, _), connected(server, issued) as (other, _):
            await ws.send(json.dumps({"subscribe": {"entity": "lead"}}))
            assert await event(ws) == {"event": "subscribed", "entity": "lead"}
            await other.send(json.dumps({"subscribe": {"entity": "lead", "ids": [hidden.pk]}}))
            await event(other)
            await sync_to_async(change)(hidden, mine)
            assert await event(ws) == {"event": "changed", "entity": "lead", "ids": [mine.pk]}
            await ws.send(json.dumps({"unsubscribe": {"entity": "lead"}}))
            await event(ws)
            await sync_to_async(change)(mine)
            for quiet in (ws, other):
                await quiet.send(json.dumps({"ping": 1}))
                assert await event(quiet) == {"event": "pong"}

    asyncio.run(scenario())


def test_who_gets_a_share_hears_of_changes_and_who_lost_it_does_not(server, rep):
    lead, other = make_lead(), make_lead()
    dispatch()

    def shared():
        ShareFactory(record=lead, user=rep)
        dispatch()
        planning.plan()

    def taken_back():
        Share.objects.all().delete()
        dispatch()

    async def scenario():
        issued = await sync_to_async(signed_in)(rep)
        async with connected(server, issued) as (ws, _):
            await ws.send(json.dumps({"subscribe": {"entity": "lead"}}))
            await event(ws)
            heard = {"event": "changed", "entity": "lead", "ids": [lead.pk]}
            await sync_to_async(shared)()
            events = [await event(ws), await event(ws)]
            assert heard in events
            assert [e["notification"]["type"] for e in events if e["event"] == "notification"] == ["share"]
            await sync_to_async(change)(lead, other)
            assert await event(ws) == heard
            await sync_to_async(taken_back)()
            await sync_to_async(change)(lead, other)
            await ws.send(json.dumps({"ping": 1}))
            assert await event(ws) == {"event": "pong"}

    asyncio.run(scenario())


def test_very_many_changes_say_only_that_there_are_many(server, admin_user):
    async def scenario():
        issued = await sync_to_async(signed_in)(admin_user)
        async with connected(server, issued) as (ws, _):
            await ws.send(json.dumps({"subscribe": {"entity": "lead"}}))
            await event(ws)

            def imported():
                with audit_context():
                    Lead.objects.bulk_create([Lead(first_name=f"L{i}") for i in range(150)])
                dispatch()

            await sync_to_async(imported)()
            assert await event(ws) == {"event": "changed", "entity": "lead", "ids": None}

    asyncio.run(scenario())


def test_very_many_changes_beyond_reach_are_notified_to_nobody(server, rep):
    def imported(**fields):
        with audit_context():
            Lead.objects.bulk_create([Lead(first_name=f"L{i}", **fields) for i in range(150)])
        dispatch()

    async def scenario():
        issued = await sync_to_async(signed_in)(rep)
        async with connected(server, issued) as (ws, _):
            await ws.send(json.dumps({"subscribe": {"entity": "lead"}}))
            await event(ws)
            await sync_to_async(imported)()
            await ws.send(json.dumps({"ping": 1}))
            assert await event(ws) == {"event": "pong"}
            await sync_to_async(imported)(owner=rep)
            assert await event(ws) == {"event": "changed", "entity": "lead", "ids": None}

    asyncio.run(scenario())


@pytest.mark.parametrize("ending", ["logged out", "deactivated"])
def test_it_is_closed_when_the_session_ends(server, rep, ending):
    def end():
        if ending == "logged out":
            Session.objects.filter(user=rep).end("logged_out")
        else:
            rep.is_active = False
            rep.save()

    async def scenario():
        issued = await sync_to_async(signed_in)(rep)
        async with connected(server, issued) as (ws, _):
            await sync_to_async(end)()
            with pytest.raises(ConnectionClosed) as caught:
                await event(ws)
            assert caught.value.rcvd.code == 4401
        url = f"ws://{server}/ws/notifications/"
        assert await refused(url, additional_headers=bearing(issued.access)) == 403

    asyncio.run(scenario())


def test_it_is_closed_when_nobody_can_say_whether_the_session_has_ended(server, rep, monkeypatch):
    """While the database is away: a listener must not outlive the session because nobody asks any more."""

    async def away(principal):
        raise OperationalError("the server is not there")

    async def scenario():
        issued = await sync_to_async(signed_in)(rep)
        async with connected(server, issued) as (ws, _):
            monkeypatch.setattr(live, "current_user", away)
            with pytest.raises(ConnectionClosed) as caught:
                await event(ws)
            assert caught.value.rcvd.code == 1013

    asyncio.run(scenario())


def test_nothing_is_reported_what_went_out_of_sight_before_it_was_planned(server, rep, make_user):
    def made():
        with audit_context():
            lead = LeadFactory(first_name="Ada", owner=make_user("admin"))
        progress(rep, "The secret", entity="lead", object_id=lead.pk)
        progress(rep, "Hello")

    async def scenario():
        issued = await sync_to_async(signed_in)(rep)
        async with connected(server, issued) as (ws, _):
            await sync_to_async(made)()
            assert (await event(ws))["notification"]["title"] == "Hello"

    asyncio.run(scenario())


def test_a_ticket_opens_it_once(server, rep, api):
    issued = signed_in(rep)
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.access}")
    answer = client.post("/api/v1/notifications/ticket/")
    assert answer.status_code == 201
    url = f"ws://{server}{answer.json()['url']}"

    async def scenario():
        async with websockets.connect(url, origin=f"http://{server}") as ws:
            assert (await event(ws))["event"] == "hello"
        assert await refused(url) == 403

    asyncio.run(scenario())


def test_of_many_at_once_one_redeems_a_ticket(rep):
    text = tickets.issue(Principal(rep.pk, session_id=1))
    found = []
    threads = [threading.Thread(target=lambda: found.append(tickets.redeem(text))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [f for f in found if f] == [Principal(rep.pk, session_id=1)]


def test_an_api_key_opens_it_within_its_scopes(server, rep):
    _, good = keys.make(rep, "live", ["notifications:read"])
    _, poor = keys.make(rep, "leads", ["leads:read"])

    async def scenario():
        url = f"ws://{server}/ws/notifications"
        async with websockets.connect(url, additional_headers={"Authorization": f"Bearer {good}"}) as ws:
            assert (await event(ws))["event"] == "hello"
        assert await refused(url, additional_headers={"Authorization": f"Bearer {poor}"}) == 403

    asyncio.run(scenario())


def test_a_key_hears_of_changes_only_where_it_may_read(server, rep):
    _, key = keys.make(rep, "live", ["notifications:read", "leads:read"])

    async def scenario():
        url = f"ws://{server}/ws/notifications"
        async with websockets.connect(url, additional_headers=bearing(key)) as ws:
            await event(ws)
            await ws.send(json.dumps({"subscribe": {"entity": "contact"}}))
            assert await event(ws) == {"event": "error", "detail": "This key may not read contacts."}
            await ws.send(json.dumps({"subscribe": {"entity": "lead"}}))
            assert await event(ws) == {"event": "subscribed", "entity": "lead"}

    asyncio.run(scenario())


def test_strangers_and_foreign_pages_are_refused(server, rep):
    issued = signed_in(rep)
    good = {"Authorization": f"Bearer {issued.access}"}

    async def scenario():
        url = f"ws://{server}/ws/notifications/"
        assert await refused(url) == 403
        assert await refused(url, additional_headers={"Authorization": "Bearer x"}) == 403
        assert await refused(f"{url}?ticket={'x' * 43}") == 403
        assert await refused(f"{url}?token={issued.access}") == 403, "a token has no place in an address"
        assert await refused(url, additional_headers=good, origin="https://evil.example") == 403
        assert await refused(f"ws://{server}/ws/other/", additional_headers=good) == 403

    asyncio.run(scenario())


def test_without_valkey_strangers_are_refused_and_others_asked_to_come_back(server, rep, settings):
    layer = settings.CHANNEL_LAYERS["default"]
    away = {"hosts": [{"address": "redis://127.0.0.1:1/0"}], "prefix": "away"}
    settings.CHANNEL_LAYERS = {"default": layer | {"CONFIG": away}}
    issued = signed_in(rep)

    async def scenario():
        url = f"ws://{server}/ws/notifications/"
        assert await refused(url) == 403
        assert await refused(url, additional_headers=bearing(issued.access)) == 503

    asyncio.run(scenario())


def test_a_user_has_so_many_open_at_most(server, make_user, settings):
    settings.CRM = {"LIVE_CHECK_S": 0.2, "LIVE_CONNECTIONS": 2}
    user, other = signed_in(make_user()), signed_in(make_user())

    async def run():
        async with connected(server, user), connected(server, user), connected(server, other):
            await asyncio.sleep(1)  # they ask again and again, and keep their places
            status = await refused(
                f"ws://{server}/ws/notifications/", additional_headers=bearing(user.access)
            )
        await asyncio.sleep(0.2)
        async with connected(server, user) as (_, hello):
            return status, hello["event"]

    assert asyncio.run(run()) == (403, "hello")


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "[]",
        '{"shout": 1}',
        '{"subscribe": {"entity": "user"}}',
        '{"subscribe": {"entity": "lead", "ids": ["x"]}}',
    ],
)
def test_nonsense_is_answered_and_the_line_stays_open(server, rep, message):
    async def scenario():
        issued = await sync_to_async(signed_in)(rep)
        async with connected(server, issued) as (ws, _):
            await ws.send(message)
            assert (await event(ws))["event"] == "error"
            await ws.send('{"ping": 1}')
            assert await event(ws) == {"event": "pong"}

    asyncio.run(scenario())


def test_what_is_too_long_closes_it(server, rep):
    async def scenario():
        issued = await sync_to_async(signed_in)(rep)
        async with connected(server, issued) as (ws, _):
            await ws.send("x" * 5_000)
            with pytest.raises(ConnectionClosed) as caught:
                await event(ws)
            assert caught.value.rcvd.code == 4400

    asyncio.run(scenario())


def test_http_is_served_on_the_same_port(server):
    import httpx

    assert httpx.get(f"http://{server}/livez").status_code == 200


def test_without_valkey_nothing_fails(rep, settings, caplog):
    from channels import layers

    from core.notifications import live

    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [f"redis://127.0.0.1:{ports.any_free()}/0"]},
        }
    }
    layers.channel_layers.backends.clear()
    try:
        progress(rep)
        assert Notification.objects.get().channels_planned_at is not None
        assert "live messages are lost" in caplog.text
    finally:
        live._silent_until = 0.0
        layers.channel_layers.backends.clear()
