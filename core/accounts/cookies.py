"""Cookies of the admin site as sessions like all others: listed, and over when their row ends.

Django keeps a cookie alive until it runs out or its user's password changes. Here each sign-in to the site
has a row of `Session` beside it, whose id stands in Django's own session: when the row ends, by signing out
everywhere or in any other way, the next request finds nobody signed in.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from core.accounts import second_factor
from core.accounts.models import Session, User
from core.accounts.origin import origin_of
from core.entities import field_rights

# Where Django's session names the row.
NAME = "crm_session"
USE_NOTED_EVERY = timedelta(minutes=10)


class CookieSessionMiddleware(AuthenticationMiddleware):
    """Django's own, asking the row as well; only where a view asks who is signed in."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        lazy: Any = SimpleLazyObject(lambda: signed_in(request))
        request.user = request.cookie_user = lazy  # type: ignore[attr-defined]

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Give a sign-in its row, and end that of a sign-out."""
        if request.session.accessed:
            _follow(request)
        return response


def signed_in(request: HttpRequest) -> User | AnonymousUser:
    """The user of the cookie while its session lives."""
    user = get_user(request)
    if not isinstance(user, User):
        return user
    row = _row(request, user)
    if row is None or second_factor.is_missing(user, row):
        request.session.flush()
        return AnonymousUser()
    _remember(request, row)
    _note_use(row)
    return user


def _row(request: HttpRequest, user: User) -> Session | None:
    """The live row of the cookie, which brings the rights of the user's role; a new one for a cookie that has
    none yet, as one from before there were any."""
    pk = request.session.get(NAME)
    if pk is None:
        return _begin(request, user)
    rows = user.sessions.live().filter(pk=pk, kind=Session.Kind.ADMIN)
    row = rows.annotate(rights=field_rights.words_of("user__role")).first()
    if row is not None:
        setattr(user, field_rights.WORDS, row.rights)
    return row


def _begin(request: HttpRequest, user: Any, *, proven: bool = False) -> Session:
    origin, now = origin_of(request), timezone.now()
    expires_at = now + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    row = Session(user_id=user.pk, kind=Session.Kind.ADMIN, ip=origin.ip, user_agent=origin.user_agent)
    row.second_factor = proven
    row.created_at, row.last_used_at, row.expires_at = now, now, expires_at
    row.save(force_insert=True)
    request.session[NAME] = row.pk
    return row


def _remember(request: HttpRequest, row: Session) -> None:
    known = (row.pk, request.session.get(HASH_SESSION_KEY), row.second_factor)
    request.cookie_session = known  # type: ignore[attr-defined]


def _note_use(row: Session) -> None:
    if row.last_used_at < timezone.now() - USE_NOTED_EVERY:
        Session.objects.filter(pk=row.pk).update(last_used_at=Now())


def _follow(request: HttpRequest) -> None:
    """Rows as the view left Django's session: signed in, signed out, or with a new password."""
    before, password_before, proven = getattr(request, "cookie_session", (None, None, False))
    if SESSION_KEY not in request.session:
        if before is not None:
            Session.objects.filter(pk=before).end(Session.Ending.LOGGED_OUT)
        return
    # Django's `login` puts the user who signed in where ours was.
    signed_in_now = request.user is not request.cookie_user  # type: ignore[attr-defined]
    # One's own new password ended all rows of its user, this one as well; Django lets this cookie go on.
    renewed = before is not None and request.session.get(HASH_SESSION_KEY) != password_before
    if signed_in_now or renewed:
        if NAME in request.session:
            Session.objects.filter(pk=request.session[NAME]).end(Session.Ending.LOGGED_OUT)
        # The form that signed in has said whether by two proofs (core.accounts.admin_login).
        proven = getattr(request, "second_factor_proven", False) if signed_in_now else proven
        _begin(request, User(pk=int(request.session[SESSION_KEY])), proven=proven)
