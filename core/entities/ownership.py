"""Filters every entity has, by who it belongs to and when it came."""

from datetime import datetime
from typing import Any

from django.db.models import Q

from core.entities.entity import NamedFilter
from core.entities.field_types import Boolean, DateTime


def _mine(wanted: bool, user: Any) -> Q:
    mine = Q(assigned_to_id=user.pk)
    return mine if wanted else ~mine


def _unassigned(wanted: bool, user: Any) -> Q:
    return Q(assigned_to__isnull=wanted)


def _created_after(moment: datetime, user: Any) -> Q:
    return Q(created_at__gt=moment)


def _created_before(moment: datetime, user: Any) -> Q:
    return Q(created_at__lt=moment)


COMMON_FILTERS = {
    "assigned_to_me": NamedFilter(Boolean(), _mine, "Assigned to whoever asks."),
    "unassigned": NamedFilter(Boolean(), _unassigned, "Assigned to nobody."),
    "created_after": NamedFilter(DateTime(), _created_after, "Created after this moment."),
    "created_before": NamedFilter(DateTime(), _created_before, "Created before this moment."),
}
