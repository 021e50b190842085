"""Where a record lives, for automation that asks which day it is: in the zone of whom it is assigned to, else
of the schedule that started the run, else of its owner, else of the site."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import CharField, Expression, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone


def record_zone(schedule_zone: str = "") -> Expression:
    """SQL of the zone's name, of each row of an entity's table."""
    parts = [_of_person("assigned_to_id"), _of_person("owner_id"), Value(settings.TIME_ZONE)]
    if schedule_zone:
        parts.insert(1, Value(schedule_zone))
    return Coalesce(*parts, output_field=CharField())


def _of_person(column: str) -> Subquery:
    """Not by a join: Django would leave out the records that are assigned to nobody."""
    return Subquery(get_user_model().objects.filter(pk=OuterRef(column)).order_by().values("time_zone")[:1])


def zone_among(assignee: Any, schedule_zone: str, owner: Any) -> ZoneInfo:
    """The same of one record."""
    zones: Iterable[Any] = (
        assignee and assignee.zone,
        schedule_zone and ZoneInfo(schedule_zone),
        owner and owner.zone,
    )
    return next((zone for zone in zones if zone), ZoneInfo(settings.TIME_ZONE))


def day_start(user: Any) -> datetime:
    """Midnight in the user's zone, as a moment."""
    zone = getattr(user, "zone", None) or timezone.get_current_timezone()
    return timezone.localtime(timezone=zone).replace(hour=0, minute=0, second=0, microsecond=0)
