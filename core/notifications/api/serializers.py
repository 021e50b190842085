"""Notifications and preferences as JSON."""

import re
from collections.abc import Mapping
from datetime import time
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.accounts.models import User, check_language, check_time_zone
from core.api.schema.parts import TEXT
from core.api.strict import StrictFieldsMixin
from core.entities.field_types import DateTime, Text, TextList
from core.notifications import preferences, wording
from core.notifications.models import DAYS, Notification, SuppressedAddress
from core.notifications.preferences import Preferences
from core.notifications.types import CHANNELS, types

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z", re.ASCII)


class NotificationSerializer(serializers.ModelSerializer):
    title = serializers.SerializerMethodField()
    body = serializers.SerializerMethodField()
    is_read = serializers.SerializerMethodField()
    actor = serializers.SerializerMethodField()

    class Meta:
        model = Notification
        fields = [
            "id", "type", "title", "body", "entity", "object_id", "count", "actor", "data", "is_read",
            "created_at", "read_at", "archived_at",
        ]  # fmt: skip

    def get_title(self, row: Notification) -> str:
        return wording.title_of(row)

    def get_body(self, row: Notification) -> str:
        return wording.body_of(row)

    def get_is_read(self, row: Notification) -> bool:
        return row.read_at is not None

    def get_actor(self, row: Notification) -> dict[str, Any] | None:
        return self.context.get("actors", {}).get(row.actor_id)


class UnreadCountsSerializer(serializers.Serializer):
    """How many are unread; `capped` where they were not all counted."""

    unread = serializers.IntegerField()
    capped = serializers.BooleanField()
    by_type = serializers.DictField(child=serializers.IntegerField())


class ReadAllSerializer(StrictFieldsMixin, serializers.Serializer):
    """Which notifications: those of these types, or those that came until a moment; without either, all."""

    types = TextList(child=Text(max_length=40), required=False, allow_null=True)
    until = DateTime(required=False, allow_null=True)


class MarkedReadSerializer(serializers.Serializer):
    read = serializers.IntegerField()


class LiveTicketSerializer(serializers.Serializer):
    """A ticket that opens the WebSocket once, within `expires_in` seconds."""

    ticket = serializers.CharField()
    expires_in = serializers.IntegerField()
    url = serializers.CharField()


class SuppressedAddressSerializer(serializers.ModelSerializer):
    class Meta:
        model = SuppressedAddress
        fields = ["channel", "address", "reason", "created_at"]


class SuppressedAddressesSerializer(serializers.Serializer):
    results = SuppressedAddressSerializer(many=True)


# ---- Preferences: a change names any part of them, so that nothing within is required ----


class FlagField(serializers.BooleanField):
    """true or false, and no word that stands for them."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise ValidationError(_("Expected true or false."), code="invalid")
        return data


@extend_schema_field(TEXT | {"pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "example": "22:00"})
class ClockField(serializers.TimeField):
    """A time of day as HH:MM."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="%H:%M", **options)

    def to_internal_value(self, data: Any) -> time:
        found = _CLOCK.match(data) if isinstance(data, str) else None
        if found is None:
            raise ValidationError(_("Expected a time of day as HH:MM."), code="invalid")
        return time(int(found[1]), int(found[2]))


class WeekdaysField(serializers.ListField):
    """Days of the week, in their order."""

    child = serializers.ChoiceField(choices=DAYS)

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list) or not all(day in DAYS for day in data):
            raise ValidationError(
                _("Expected a list of: %(names)s.") % {"names": ", ".join(DAYS)}, code="invalid"
            )
        return [day for day in DAYS if day in data]

    def to_representation(self, data: Any) -> list[str]:
        return [day for day in DAYS if day in data]


class NotificationChannelsSerializer(StrictFieldsMixin, serializers.Serializer):
    """A flag for each channel."""

    def get_fields(self) -> dict[str, serializers.Field]:
        return {channel: FlagField(required=False) for channel in CHANNELS}


class TypeChannelsSerializer(NotificationChannelsSerializer):
    """A flag for each channel of one type; a single flag stands for all of them."""

    def to_internal_value(self, data: Any) -> dict[str, bool]:
        return super().to_internal_value(dict.fromkeys(CHANNELS, data) if isinstance(data, bool) else data)


class NotificationTypesSerializer(StrictFieldsMixin, serializers.Serializer):
    """The channels of each type of notification."""

    def get_fields(self) -> dict[str, serializers.Field]:
        return {kind.name: TypeChannelsSerializer(required=False, help_text=kind.label) for kind in types}


class DigestPreferencesSerializer(StrictFieldsMixin, serializers.Serializer):
    daily = FlagField(required=False)
    weekly = FlagField(required=False)


class DoNotDisturbSerializer(StrictFieldsMixin, serializers.Serializer):
    """Quiet hours, which begin on each of `days`, and whole days that are quiet."""

    enabled = FlagField(source="quiet", required=False)
    start = ClockField(source="quiet_from", required=False)
    end = ClockField(source="quiet_until", required=False)
    days = WeekdaysField(source="quiet_days", required=False)
    whole_days = WeekdaysField(source="silent_days", required=False)
    allow_urgent = FlagField(
        source="urgent_passes", required=False, help_text="Urgent types go out all the same."
    )


class PreferencesSerializer(StrictFieldsMixin, serializers.Serializer):
    """A user's preferences, the defaults filled in; a change takes over what it names."""

    channels = NotificationChannelsSerializer()
    types = NotificationTypesSerializer()
    digest = DigestPreferencesSerializer(source="*")
    do_not_disturb = DoNotDisturbSerializer(source="own")
    time_zone = serializers.CharField(
        source="user.time_zone", validators=[check_time_zone], help_text="A time zone such as Europe/Berlin."
    )

    language = serializers.CharField(
        source="user.language",
        allow_blank=True,
        validators=[check_language],
        help_text="Of the site, errors and mails: `en`, `de`, `fr`; empty: as `Accept-Language` asks.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = attrs.get("own", {})
        names = ("quiet", "quiet_days", "quiet_from", "quiet_until")
        quiet, days, start, end = (given.get(name, getattr(self.instance.own, name)) for name in names)
        if quiet and days and start == end:
            message = _("The hours end when they begin.")
            raise ValidationError({"do_not_disturb": {"end": [message]}}, code="invalid")
        return attrs

    def update(self, instance: Preferences, validated_data: Mapping[str, Any]) -> Preferences:
        own, user = instance.own, instance.user
        own.channels |= validated_data.get("channels", {})
        for name, flags in validated_data.get("types", {}).items():
            own.matrix[name] = own.matrix.get(name, {}) | flags
        for period in ("daily", "weekly"):
            if period in validated_data:
                setattr(own, f"{period}_digest", validated_data[period])
        for name, value in validated_data.get("own", {}).items():
            setattr(own, name, value)
        own.save()
        if "user" in validated_data:
            User.objects.filter(pk=user.pk).update(**validated_data["user"])
        return preferences.of(user)
