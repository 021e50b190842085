"""Imports and exports from a terminal: arguments of the commands, and a progress bar."""

import time
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from core.accounts.models import User
from core.entities import Entity, entities
from core.entities.entity import by_plural
from core.errors import InvalidError

WIDTH = 30
EVERY_S = 0.2


def resource_named(name: str) -> Entity:
    """The entity of `leads` and the like. Raises InvalidError naming what there is."""
    found = by_plural(name)
    if found is None:
        known = ", ".join(sorted(entity.plural for entity in entities))
        raise InvalidError.of(
            "resource",
            _("There is no %(name)s; there are: %(known)s.") % {"name": repr(name), "known": known},
        )
    return found


def user_named(name: str) -> User:
    """The active user who signs in by this name or e-mail address. Raises InvalidError."""
    name_of_user = User.objects.username_of(name)
    found = User.objects.filter(username__iexact=name_of_user, is_active=True).first()
    if found is None:
        raise InvalidError.of("user", _("There is no active user %(name)s.") % {"name": repr(name)})
    return found


def settings_in(parts: Iterable[str]) -> dict[str, str]:
    """`name=value` words as a dictionary."""
    return dict(part.partition("=")[::2] for part in parts)


class ProgressBar:
    """A progress bar; in a log only its last line. `out` is a stream with `write` and `isatty`."""

    def __init__(self, out: Any, total: int) -> None:
        self.out, self.total = out, max(total, 1)
        self.started = self.shown = time.monotonic()
        self.is_live = out.isatty()

    def show(self, done: int) -> None:
        """Show the progress, a few times a second at most."""
        now = time.monotonic()
        if not self.is_live or now - self.shown < EVERY_S:
            return
        self.shown = now
        share = min(done / self.total, 1)
        filled = round(share * WIDTH)
        rate = done / (now - self.started)
        left = max(self.total - done, 0) / rate if rate else 0
        bar = "#" * filled + "." * (WIDTH - filled)
        text = f"\r[{bar}] {share:4.0%}  {done:,} rows  {rate:,.0f}/s  {left:,.0f} s left "
        self.out.write(text, ending="")
        self.out.flush()

    def end(self, done: int) -> None:
        """Show the total."""
        seconds = time.monotonic() - self.started
        rate = done / seconds if seconds else 0
        clear = "\r" + " " * 79 + "\r" if self.is_live else ""
        self.out.write(f"{clear}{done:,} rows in {seconds:.1f} s ({rate:,.0f}/s)")
