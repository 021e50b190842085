"""Guessing passwords: how often one may try, from one address and at one account.

Only failures count. The same holds for accounts that do not exist, so the limits do not reveal which do.
An account's own limit, which strangers anywhere can use up, does not bind whoever signed in to it from the
same address lately: nobody is locked out from their own desk.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from core.accounts import limits
from core.accounts.limits import Rate, rate_of
from core.accounts.models import Session, User
from core.accounts.origin import Origin
from core.conf import conf
from core.errors import DomainError

KNOWN_FOR = timedelta(days=90)


class TooManyAttemptsError(DomainError):
    """Wait `wait_s` seconds before the next attempt."""

    code = "throttled"

    def __init__(self, wait_s: float) -> None:
        super().__init__(_("Too many failed attempts to sign in; wait before the next one."))
        self.wait_s = wait_s


def count_refused_credential(origin: Origin) -> None:
    """Count a token, key or ticket that was refused, by address. Raises TooManyAttemptsError beyond a limit.

    What is valid is never counted: others behind the same address go on.
    """
    rate = rate_of(conf.CREDENTIAL_FAILURES)
    result = limits.consume(f"credential:{origin.network}", rate, local=True)
    if result and not result.allowed:
        raise TooManyAttemptsError(result.reset_s)


@dataclass(frozen=True)
class Attempt:
    """One attempt to prove a password, counted before it is looked at."""

    username: str
    origin: Origin

    @classmethod
    def by(cls, name: str, origin: Origin) -> "Attempt":
        """An attempt by whoever gave this user name or e-mail address: both count against one account."""
        return cls(User.objects.username_of(name), origin)

    def admit(self) -> None:
        """Count it. Raises TooManyAttemptsError where a limit is reached."""
        for key, rate in self._limits():
            result = limits.consume(key, rate, local=True)
            if result and not result.allowed and not (key == self._account and self._is_at_home()):
                raise TooManyAttemptsError(result.reset_s)

    def succeeded(self) -> None:
        """Take it back: it was no failure."""
        for key, rate in self._limits():
            limits.refund(key, rate)

    def _limits(self) -> list[tuple[str, Rate]]:
        """From the narrowest, so that who is stopped there uses up nothing that others share."""
        per = conf.SIGN_IN_FAILURES
        return [
            (f"{self._account}:{self.origin.network}", rate_of(per["account_and_address"])),
            (f"sign-in:{self.origin.network}", rate_of(per["address"])),
            (self._account, rate_of(per["account"])),
        ]

    @property
    def _account(self) -> str:
        """Names are digested: keys in Valkey give no list of them."""
        return "sign-in:" + hashlib.sha256(self.username.casefold().encode()).hexdigest()[:32]

    def _is_at_home(self) -> bool:
        since = timezone.now() - KNOWN_FOR
        seen = Session.objects.filter(ip=self.origin.ip, last_used_at__gt=since)
        return seen.filter(user__username__iexact=self.username).exists()
