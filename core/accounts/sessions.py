"""Sessions: begun by a password, continued by refresh tokens that work once, ended in many ways."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from core import jobs
from core.accounts import session_sql
from core.accounts.models import Session, User
from core.accounts.origin import Origin
from core.accounts.tokens import AccessToken, RefreshToken, TokenRefusedError, read_refresh
from core.jobs import Turn

log = logging.getLogger(__name__)
ALL = "all"


@dataclass(frozen=True)
class Issued:
    """A fresh pair of tokens as JWTs."""

    access: str
    refresh: str
    session: Session


def proven(request: HttpRequest, username: str, password: str) -> User | None:
    """The active user of this name and password. An unknown name takes as long as a wrong password."""
    with sessions_kept(ALL):
        return authenticate(request, username=username, password=password)


def is_password(user: User, password: str) -> bool:
    """Whether this is the user's password."""
    with sessions_kept(ALL):
        return user.check_password(password)


def begin(user: User, origin: Origin, *, second_factor: bool = False) -> Issued:
    """A new session for a user who proved to be one; `second_factor` says whether by two proofs."""
    refresh = RefreshToken()
    with transaction.atomic():
        session = Session(user=user, ip=origin.ip, user_agent=origin.user_agent)
        session.second_factor = second_factor
        session.created_at = session.last_used_at = timezone.now()
        session.expires_at = _expiry(session)
        session.refresh_digest = _digest(refresh)
        session.save(force_insert=True)
        User.objects.filter(pk=user.pk).update(last_login=Now())
    return _issue(session, refresh)


def renew(text: str) -> Issued:
    """New tokens for a refresh token that was not used before. Raises TokenRefusedError.

    The session's row lock makes one of simultaneous uses win, and the others are refused. A token that was
    not the newest any more when it came has been used before: it, or its successor, is in the wrong hands,
    and the session ends for whoever holds either.
    """
    presented = read_refresh(text)
    was_newest = _sessions(presented).filter(refresh_digest=_digest(presented)).exists()
    with transaction.atomic():
        session = _sessions(presented).select_related("user").select_for_update(of=("self",)).first()
        issued = _renewed(session, presented, was_newest) if session and session.is_live else None
    if issued is None:
        raise TokenRefusedError(_("The token is not valid or has expired."))
    return issued


def _sessions(presented: RefreshToken) -> QuerySet[Session]:
    return Session.objects.filter(pk=presented.session_id, user_id=presented.user_id)


def _renewed(session: Session, presented: RefreshToken, was_newest: bool) -> Issued | None:
    if not constant_time_compare(session.refresh_digest, _digest(presented)):
        if not was_newest:
            _end_stolen(session)
        return None
    following = RefreshToken()
    session.refresh_digest = _digest(following)
    session.generation += 1
    session.expires_at = _expiry(session)
    session.last_used_at = timezone.now()
    session.save(update_fields=["refresh_digest", "generation", "expires_at", "last_used_at"])
    return _issue(session, following)


def _end_stolen(session: Session) -> None:
    Session.objects.filter(pk=session.pk).end(Session.Ending.REFRESH_REUSED)
    log.warning("a refresh token of user %s was used twice: session %s is ended", session.user_id, session.pk)


def _expiry(session: Session) -> datetime:
    """The end of a session that nobody continues, at last that of any."""
    last = session.created_at + settings.JWT_SESSION_LIFETIME
    return min(timezone.now() + settings.JWT_REFRESH_LIFETIME, last)


def _issue(session: Session, refresh: RefreshToken) -> Issued:
    access = AccessToken()
    for token in (access, refresh):
        token.belong(session.user_id, session.pk)
    refresh.expire_at(session.expires_at)
    return Issued(str(access), str(refresh), session)


def _digest(refresh: RefreshToken) -> str:
    return hashlib.sha256(str(refresh["jti"]).encode()).hexdigest()


def end_others(user: User, kept: Session | None) -> None:
    """After a second factor was set up: all sessions end but the one it was done in, which has proven it."""
    if kept is not None:
        Session.objects.filter(pk=kept.pk).update(second_factor=True)
    Session.objects.filter(user=user, second_factor=False).end(Session.Ending.SECOND_FACTOR)


def change_password(user: User, password: str, kept: Session | None = None) -> None:
    """Set the password; a trigger ends the user's sessions, but for the one that is `kept`."""
    user.set_password(password)
    with sessions_kept(str(kept.pk) if kept else ""):
        user.save(update_fields=["password"])


@contextmanager
def sessions_kept(which: str) -> Iterator[None]:
    """A transaction in which a new password hash ends no session (ALL), or all but the one of this id.

    Checking a password may hash it anew, with today's strength: that is no change of the password.
    """
    with transaction.atomic():
        session_sql.keep(which)
        yield
        session_sql.keep("")


def forget_old(turn: Turn) -> int:
    """Delete sessions that ended or ran out long ago, until the turn is over; returns how many."""
    limit = timezone.now() - settings.JWT_SESSION_LIFETIME
    return jobs.delete(Session.objects.filter(expires_at__lt=limit), turn)
