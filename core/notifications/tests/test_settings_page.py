"""The page of the admin site on which everybody has their own settings."""

import pytest

from core.accounts.models import User
from core.accounts.tests.factories import UserFactory
from core.accounts.zone_names import offset, zone_choices
from core.admin.tests.forms import filled_in
from core.changes.models import Change
from core.notifications import preferences
from core.notifications.models import NotificationPreference

pytestmark = pytest.mark.django_db
URL = "/admin/settings/"


@pytest.mark.parametrize("role", ["viewer", "rep", "manager", "admin"])
def test_everybody_chooses_language_zone_and_name(client, role):
    user = UserFactory(role=role, is_staff=True, time_zone="US/Pacific")
    client.force_login(user)
    page = client.get(URL)
    sent = filled_in(page) | {"do": "account"}
    # Another name of a zone stays chosen.
    assert sent["time_zone"] == ["US/Pacific"]
    changed = {"first_name": "Ada", "language": "de", "time_zone": "Europe/Berlin", "phone_region": "DE"}
    answer = client.post(URL, sent | changed, follow=True)
    assert "Ihre Einstellungen" in answer.content.decode()
    found = User.objects.values("first_name", "language", "time_zone", "phone_region", "role").get(pk=user.pk)
    assert found == changed | {"role": role}
    change = Change.objects.filter(entity="user", object_id=user.pk).latest("id")
    assert (change.actor_id, change.source, set(change.changes)) == (user.pk, "admin", set(changed))


def test_a_zone_that_is_none_is_refused(client):
    user = UserFactory(is_staff=True, time_zone="UTC")
    client.force_login(user)
    sent = filled_in(client.get(URL)) | {"do": "account", "time_zone": "Mars/Olympus", "role": "admin"}
    assert set(client.post(URL, sent).context["form"].errors) == {"time_zone"}
    assert User.objects.values_list("time_zone", "role").get(pk=user.pk) == ("UTC", "rep")


def test_notifications_are_chosen_by_kind_and_way(client):
    user = UserFactory(is_staff=True)
    client.force_login(user)
    sent = filled_in(client.get(URL)) | {"do": "notifications"}
    assert sent["on"] == [*(box for box in sent["on"] if box not in ("sms", "weekly", "quiet"))]
    on = {*sent["on"], "sms", "weekly", "quiet", "comment.email"} - {"mention.email", "push"}
    quiet = {"start": "20:00", "end": "06:30", "days": ["mon", "fri"], "whole_days": ["sun"]}
    assert client.post(URL, sent | {"on": sorted(on)} | quiet).status_code == 302
    found = preferences.of(user)
    assert found.channels == {"in_app": True, "email": True, "push": False, "sms": True}
    assert (found.type("mention", "email"), found.type("comment", "email")) == (False, True)
    assert (found.daily, found.weekly, found.own.quiet, found.own.urgent_passes) == (True, True, True, False)
    assert (found.own.quiet_days, found.own.silent_days) == (["mon", "fri"], ["sun"])
    again = filled_in(client.get(URL))
    assert (set(again["on"]), again["start"], again["days"]) == (on, ["20:00"], ["mon", "fri"])
    # Hours that end when they begin are refused, and nothing of it is kept.
    refused = client.post(URL, sent | quiet | {"on": ["quiet"], "start": "06:30"})
    assert refused.context["faults"] == ["The hours end when they begin."]
    assert NotificationPreference.objects.get(user=user).channels == found.own.channels


def test_zones_are_named_by_city_and_country_once_each():
    named = dict(zone_choices())
    assert named["Asia/Kolkata"] == "Kolkata, India (UTC+05:30)"
    assert ("Asia/Calcutta" in named, named["UTC"]) == (False, "Coordinated Universal Time (UTC)")
    assert (offset("America/Phoenix"), len(named) > 400) == ("UTC-07:00", True)
