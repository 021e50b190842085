"""What the parts of the demo data share, and the registry they stand in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from core.demo import words
from core.registry import Registry

SPAN_DAYS = 365


@dataclass
class Demo:
    """One run. Everything random comes from `random`, so that one seed gives one set of data."""

    leads: int
    random: Random
    now: datetime
    users: dict[str, list[Any]] = field(default_factory=dict)
    # What earlier parts made for later ones, by name.
    made: dict[str, list[Any]] = field(default_factory=dict)

    def pick(self, choices: Any, weights: Any = None) -> Any:
        return self.random.choices(choices, weights)[0]

    def past(self, days: int = SPAN_DAYS) -> datetime:
        """A moment within the last `days`, more often a recent one."""
        return self.now - timedelta(days=days * self.random.random() ** 1.5)

    def future(self, days: int) -> datetime:
        return self.now + timedelta(days=days * self.random.random())

    def person(self) -> tuple[str, str]:
        return self.pick(words.FIRST_NAMES), self.pick(words.LAST_NAMES)

    def company(self) -> str:
        return f"{self.pick(words.COMPANY_HEADS)} {self.pick(words.COMPANY_TAILS)}"

    def address(self) -> dict[str, str]:
        """Columns of a postal address and a phone number there."""
        city, state, code, country, phone = self.pick(words.PLACES)
        street = f"{self.random.randint(1, 240)} {self.pick(words.STREETS)}"
        place = {"address": street, "city": city, "state": state, "postal_code": code, "country": country}
        digits = f"{self.random.randint(100, 9999):04d}"
        return place | {"phone": phone.rstrip("#") + digits[-phone.count("#") :]}

    def manager_of(self, person: Any) -> Any:
        """Who leads the team of one of the sales reps; the rep where nobody does."""
        return next((one for one in self.users["manager"] if one.team_id == person.team_id), person)

    def seller(self) -> Any:
        """One of the sales reps."""
        return self.pick(self.users["rep"])


demo_parts: Registry[Callable[[Demo], str]] = Registry("demo part")
