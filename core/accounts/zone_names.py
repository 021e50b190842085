"""Time zones as people choose them: by city and country in their own language, with the present offset."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import get_global
from babel.dates import get_timezone_location
from django.utils import timezone
from django.utils.translation import gettext as _

from core.accounts.models import time_zones
from core.admin.formats import locale
from core.models.folding import fold

UTC = "UTC"


def zone_choices(present: str = "") -> Sequence[tuple[str, str]]:
    """Each zone of the world once, by city; `present` as well where it is another name of one of them."""
    now = timezone.now()
    named = _named(str(locale()))
    more = () if present in dict(named) else ((present, present),)
    found = [(zone, f"{place} ({offset(zone, now)})") for zone, place in named]
    return [*((zone, zone) for zone, _same in more if zone), *found]


def offset(zone: str, now: datetime | None = None) -> str:
    """How far a zone's clocks are from UTC at present: `UTC+02:00`."""
    moved = (now or timezone.now()).astimezone(ZoneInfo(zone)).strftime("%z")
    return f"UTC{moved[:3]}:{moved[3:]}" if moved.strip("+0") else "UTC"


@cache
def _named(language: str) -> tuple[tuple[str, str], ...]:
    """Zones and their places, in the order of the latter. UTC, which is nobody's place, stands first."""
    spoken = Locale.parse(language)
    territories: Mapping[str, Any] = get_global("zone_territories")
    aliases: Mapping[str, Any] = get_global("zone_aliases")
    known = [zone for zone in territories if zone in time_zones() and zone not in aliases and "/" in zone]
    places = [
        (zone, _place(zone, territories[zone], spoken)) for zone in known if not zone.startswith("Etc/")
    ]
    return ((UTC, _("Coordinated Universal Time")), *sorted(places, key=lambda one: fold(one[1])))


def _place(zone: str, territory: str, spoken: Locale) -> str:
    city = get_timezone_location(ZoneInfo(zone), locale=spoken, return_city=True)
    country = spoken.territories.get(territory, "")
    return f"{city}, {country}" if country and country != city else city
