"""What a user is notified of, by which channel, and when not."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import transaction

from core.access import Role, role_of
from core.accounts.models import User
from core.notifications.models import DAYS, NotificationPreference
from core.notifications.types import CHANNELS, EMAIL, IN_APP, types

# Text messages cost: only who asks for them gets any.
CHANNEL_DEFAULTS = {"in_app": True, "email": True, "push": True, "sms": False}
# Viewers get mail when they are mentioned; for the rest they opt in.
VIEWER_EMAILS = {"mention"}
DIGEST_DEFAULTS = {Role.REP: True, Role.MANAGER: True}


@dataclass(frozen=True)
class Preferences:
    """One user's choices over the defaults; needs no query."""

    user: User
    own: NotificationPreference

    def channel(self, channel: str) -> bool:
        return self.own.channels.get(channel, CHANNEL_DEFAULTS[channel])

    def type(self, name: str, channel: str) -> bool:
        """The cell of the matrix, whether or not the channel itself is on."""
        given = self.own.matrix.get(name, {}).get(channel)
        return _default(self.user, name, channel) if given is None else given

    def wants(self, name: str, channel: str) -> bool:
        return self.channel(channel) and self.type(name, channel)

    @property
    def channels(self) -> dict[str, bool]:
        return {channel: self.channel(channel) for channel in CHANNELS}

    @property
    def types(self) -> dict[str, dict[str, bool]]:
        """The whole matrix: channels by type."""
        return {kind.name: {channel: self.type(kind.name, channel) for channel in CHANNELS} for kind in types}

    @property
    def daily(self) -> bool:
        given = self.own.daily_digest
        return DIGEST_DEFAULTS.get(Role(role_of(self.user)), False) if given is None else given

    @property
    def weekly(self) -> bool:
        return bool(self.own.weekly_digest)

    def held_until(self, name: str, now: datetime) -> datetime:
        """When something of this type may go out: `now`, or the end of the quiet hours."""
        found = types.get(name)
        if not self.own.quiet or (self.own.urgent_passes and found is not None and found.urgent):
            return now
        return quiet_until(self.own, self.user, now)


def _default(user: User, name: str, channel: str) -> bool:
    found = types.get(name)
    if found is None:
        return channel == IN_APP
    if channel == EMAIL and role_of(user) == Role.VIEWER:
        return name in VIEWER_EMAILS
    # Whoever switches text messages on wants the urgent ones.
    return found.urgent if channel == "sms" else channel in found.channels


def quiet_until(own: NotificationPreference, user: User, now: datetime) -> datetime:
    """The end of the quiet hours that `now` is in, neighbouring ones included, but at most eight days on.

    Wall-clock times are those of the user's zone: at a change of the clock the hours are an hour shorter or
    longer. A time that the clock skips counts as the moment of the change, one that comes twice as its first.
    """
    moment = now
    for _ in range(2 * len(DAYS) + 2):
        ends = [end for start, end in _intervals(own, user, moment) if start <= moment < end]
        if not ends or moment - now > timedelta(days=8):
            break
        moment = max(ends)
    return moment


def _intervals(
    own: NotificationPreference, user: User, moment: datetime
) -> Iterable[tuple[datetime, datetime]]:
    """The quiet times that began on the moment's local day or the one before."""
    today = moment.astimezone(user.zone).date()
    for day in (today - timedelta(days=1), today):
        name, next_day = DAYS[day.weekday()], day + timedelta(days=1)
        if name in own.silent_days:
            yield wall(day, time(0), user), wall(next_day, time(0), user)
        if name in own.quiet_days:
            over = own.quiet_until <= own.quiet_from
            yield wall(day, own.quiet_from, user), wall(next_day if over else day, own.quiet_until, user)


def wall(day: date, at: time, user: User) -> datetime:
    """The moment when the clocks of the user's zone show this; skipped times are the moment of the change."""
    local = datetime.combine(day, at, tzinfo=user.zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(user.zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        # In the gap the offset before the change leads behind it by the gap's length: go back to its edge.
        return _edge(moment, user)
    return moment


def _edge(moment: datetime, user: User) -> datetime:
    """The change of the clock at most some hours before `moment`, to the second."""
    low, high = moment - timedelta(hours=3), moment
    offset = high.astimezone(user.zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (low, middle) if middle.astimezone(user.zone).utcoffset() == offset else (middle, high)
    return high.replace(microsecond=0)


def of(user: Any) -> Preferences:
    """One user's preferences."""
    return load([user.pk])[user.pk]


def locked(user: Any) -> Preferences:
    """One user's preferences, stored and locked until the transaction ends."""
    NotificationPreference.objects.get_or_create(user=user)
    rows = NotificationPreference.objects.select_related("user").select_for_update(of=("self",))
    own = rows.get(user=user)
    return Preferences(own.user, own)


def load(user_ids: Iterable[int]) -> dict[int, Preferences]:
    """The preferences of several users, in one query; the defaults of those who changed nothing."""
    users = User.objects.filter(pk__in=set(user_ids)).select_related("notification_preference")
    return {u.pk: Preferences(u, _own(u)) for u in users}


def _own(user: User) -> NotificationPreference:
    try:
        return user.notification_preference
    except NotificationPreference.DoesNotExist:
        return NotificationPreference(user=user, quiet_from=time(22), quiet_until=time(7))


def without_email(user: User, kind: str) -> None:
    """No more mails of this type; for "digest", no more digests."""
    with transaction.atomic():
        own = locked(user).own
        if kind == "digest":
            own.daily_digest = own.weekly_digest = False
        else:
            own.matrix.setdefault(kind, {})[EMAIL] = False
        own.save(update_fields=["matrix", "daily_digest", "weekly_digest", "updated_at"])
