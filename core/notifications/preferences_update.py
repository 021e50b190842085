"""Changing preferences: `{"channels": {"sms": true}, "types": {"mention": {"email": false}}, …}`."""

import re
from collections.abc import Callable, Mapping
from datetime import time
from typing import Any

from django.core.exceptions import ValidationError

from core.accounts.models import User, check_time_zone
from core.errors import FieldIssue, InvalidError, unknown
from core.notifications.models import DAYS, NotificationPreference
from core.notifications.preferences import Preferences, of
from core.notifications.types import CHANNELS, types

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z", re.ASCII)


class _Input:
    """One pass over the input: values taken, everything wrong collected."""

    def __init__(self) -> None:
        self.issues: list[FieldIssue] = []

    def refuse(self, path: str, message: str, code: str = "invalid") -> None:
        self.issues.append(FieldIssue(path[:200], code, message))

    def parts(self, raw: Any, path: str, known: Mapping[str, Callable[[Any, str], Any]]) -> None:
        """Hand each known key's value to its taker; unknown keys are refused, and what is no object."""
        if not isinstance(raw, Mapping):
            self.refuse(path, "Expected an object.", "not_an_object")
            return
        for key, value in raw.items():
            below = f"{path}.{key}" if path else str(key)
            if key in known:
                known[key](value, below)
            else:
                self.issues.append(unknown(below, known))

    def flag(self, into: Callable[[bool], Any]) -> Callable[[Any, str], None]:
        def take(raw: Any, path: str) -> None:
            if isinstance(raw, bool):
                into(raw)
            else:
                self.refuse(path, "Expected true or false.")

        return take


def update_preferences(user: Any, raw: Any) -> Preferences:
    """Take the given parts over into the user's preferences. Raises InvalidError and then changes nothing."""
    NotificationPreference.objects.get_or_create(user=user)
    own = NotificationPreference.objects.select_for_update().get(user=user)
    given = _Input()
    zones: list[str] = []
    given.parts(raw, "", _parts(given, own, zones))
    if own.quiet and own.quiet_days and own.quiet_from == own.quiet_until:
        given.refuse("do_not_disturb.end", "The hours end when they begin.")
    if given.issues:
        raise InvalidError(given.issues)
    own.save()
    if zones:
        User.objects.filter(pk=user.pk).update(time_zone=zones[0])
    return of(user)


def _parts(given: _Input, own: NotificationPreference, zones: list[str]) -> dict[str, Callable[..., Any]]:
    def channels(raw: Any, path: str) -> None:
        given.parts(raw, path, {c: given.flag(_setter(own.channels, c)) for c in CHANNELS})

    def matrix(raw: Any, path: str) -> None:
        given.parts(raw, path, {kind.name: _row(given, own, kind.name) for kind in types})

    def digest(raw: Any, path: str) -> None:
        known = {word: given.flag(_attribute(own, f"{word}_digest")) for word in ("daily", "weekly")}
        given.parts(raw, path, known)

    def quiet(raw: Any, path: str) -> None:
        given.parts(raw, path, _quiet_parts(given, own))

    def zone(raw: Any, path: str) -> None:
        try:
            check_time_zone(str(raw))
            zones.append(str(raw))
        except ValidationError as error:
            given.refuse(path, error.messages[0])

    return {
        "channels": channels,
        "types": matrix,
        "digest": digest,
        "do_not_disturb": quiet,
        "time_zone": zone,
    }


def _row(given: _Input, own: NotificationPreference, name: str) -> Callable[[Any, str], None]:
    """One type's cells, or one flag for all of its channels."""

    def take(raw: Any, path: str) -> None:
        row = own.matrix.setdefault(name, {})
        if isinstance(raw, bool):
            row |= dict.fromkeys(CHANNELS, raw)
        else:
            given.parts(raw, path, {c: given.flag(_setter(row, c)) for c in CHANNELS})

    return take


def _quiet_parts(given: _Input, own: NotificationPreference) -> dict[str, Callable[[Any, str], None]]:
    return {
        "enabled": given.flag(_attribute(own, "quiet")),
        "start": _clock(given, own, "quiet_from"),
        "end": _clock(given, own, "quiet_until"),
        "days": _weekdays(given, own, "quiet_days"),
        "whole_days": _weekdays(given, own, "silent_days"),
        "allow_urgent": given.flag(_attribute(own, "urgent_passes")),
    }


def _setter(into: dict[str, Any], key: str) -> Callable[[bool], None]:
    def put(value: bool) -> None:
        into[key] = value

    return put


def _attribute(own: NotificationPreference, name: str) -> Callable[[Any], None]:
    def put(value: Any) -> None:
        setattr(own, name, value)

    return put


def _clock(given: _Input, own: NotificationPreference, name: str) -> Callable[[Any, str], None]:
    def take(raw: Any, path: str) -> None:
        found = _CLOCK.match(raw) if isinstance(raw, str) else None
        if found:
            setattr(own, name, time(int(found[1]), int(found[2])))
        else:
            given.refuse(path, "Expected a time of day as HH:MM.")

    return take


def _weekdays(given: _Input, own: NotificationPreference, name: str) -> Callable[[Any, str], None]:
    def take(raw: Any, path: str) -> None:
        if isinstance(raw, list) and all(day in DAYS for day in raw):
            setattr(own, name, [d for d in DAYS if d in raw])
        else:
            given.refuse(path, f"Expected a list of: {', '.join(DAYS)}.")

    return take
