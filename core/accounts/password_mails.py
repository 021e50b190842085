"""Setting a password by a mail: for who forgot theirs, and for who was invited.

Whoever asks learns nothing about an address: the request writes one row whatever the address is, and a worker
finds out whose it is. The link is signed and not stored. It stands for the user as they were when it was
sent: after another password, address or sign-in, or at the end of its time, it is worth nothing. So it works
once.
"""

import hashlib
import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMessage as Mail
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _
from django.utils.translation import override

from core import jobs
from core.accounts import limits, password_mail_sql
from core.accounts.attempts import TooManyAttemptsError
from core.accounts.models import PasswordMail, User
from core.accounts.origin import Origin
from core.accounts.sessions import change_password
from core.conf import conf
from core.errors import DomainError

log = logging.getLogger(__name__)

SEND_JOB = "core.tasks.send_password_mails"
SALT = "crm.password"
LIVES = {PasswordMail.Kind.RESET: timedelta(hours=1), PasswordMail.Kind.INVITATION: timedelta(days=7)}
TRIES, LEASE, BATCH = 5, timedelta(minutes=2), 20


class LinkRefusedError(DomainError):
    """The link is damaged, used, superseded or too old."""

    code = "token_not_valid"

    def __init__(self) -> None:
        super().__init__(_("This link is not valid any more; ask for a new one."))


def count(email: str, origin: Origin) -> None:
    """Count a request for a link. Raises TooManyAttemptsError; for addresses that nobody has alike."""
    digest = hashlib.sha256(email.casefold().encode()).hexdigest()[:32]
    for key, name in ((f"password-mail:{origin.network}", "address"), (f"password-mail:{digest}", "account")):
        result = limits.consume(key, limits.rate_of(conf.PASSWORD_MAILS[name]), local=True)
        if result and not result.allowed:
            raise TooManyAttemptsError(result.reset_s)


def ask(email: str, kind: str = PasswordMail.Kind.RESET) -> None:
    """Have a link sent to whoever has this address, if anybody has."""
    PasswordMail.objects.create(email=email, kind=kind)
    jobs.enqueue(SEND_JOB)


def link_token(user: User, kind: str) -> str:
    """What lets its bearer set the user's password, once."""
    return signing.dumps([user.pk, _state(user, kind)], salt=f"{SALT}.{kind}", compress=False)


def set_password(token: str, password: str, check: Any) -> User:
    """Set the password of whom the token was sent to, in the caller's transaction; ends their sessions.

    `check(password, user)` raises for one that will not do. Raises LinkRefusedError. Of simultaneous uses one
    wins: the user's row is locked, and after the first the token fits no more.
    """
    for kind in LIVES:
        pk, state = _read(token, kind)
        user = User.objects.select_for_update().filter(pk=pk, is_active=True).first() if pk else None
        if user is not None and constant_time_compare(state, _state(user, kind)):
            check(password, user)
            change_password(user, password)
            return user
    raise LinkRefusedError


def _read(token: str, kind: str) -> tuple[int | None, str]:
    try:
        pk, state = signing.loads(token, salt=f"{SALT}.{kind}", max_age=LIVES[PasswordMail.Kind(kind)])
    except (signing.BadSignature, ValueError, TypeError):
        return None, ""
    return pk, str(state)


def _state(user: User, kind: str) -> str:
    """Changes with the password, the address and each sign-in."""
    seen = user.last_login.isoformat() if user.last_login else ""
    parts = "\x1f".join((kind, user.password, user.email.lower(), seen))
    return salted_hmac(SALT, parts, algorithm="sha256").hexdigest()[:40]


def send_due() -> int:
    """Send what was asked for and forget it; returns how many rows were looked at. No transaction is open
    while the mail server is spoken to."""
    with transaction.atomic():
        ids = password_mail_sql.claim_due(BATCH, LEASE)
    for row in PasswordMail.objects.filter(pk__in=ids):
        _send(row)
    return len(ids)


def _send(row: PasswordMail) -> None:
    """A row goes once its mail is sent, or cannot be: nobody has the address, or the server never took it."""
    user = User.objects.filter(email__iexact=row.email, is_active=True).first() if row.email else None
    try:
        if user is not None:
            with override(user.reading_language):
                mail = _mail(user, row.kind)
            mail.send()
    except OSError as error:
        log.warning("a mail for a password was not sent (attempt %s): %s", row.attempts, type(error).__name__)
        if row.attempts < TRIES:
            return
    PasswordMail.objects.filter(pk=row.pk).delete()


def _mail(user: User, kind: str) -> Mail:
    if kind == PasswordMail.Kind.PASSKEY:
        return _word_of_passkey(user)
    url = conf.PASSWORD_URL.format(base=settings.PUBLIC_URL.rstrip("/"), token=link_token(user, kind))
    site, until = settings.SITE_NAME, timezone.now() + LIVES[PasswordMail.Kind(kind)]
    good_until = f"{until:%Y-%m-%d %H:%M} UTC"
    if kind == PasswordMail.Kind.INVITATION:
        subject = _("Your account at %(site)s") % {"site": site}
        text = _(
            "You were given an account at %(site)s; your user name is %(username)s.\n\nChoose a password:"
        ) % {"site": site, "username": user.username}
    else:
        subject = _("A new password for %(site)s") % {"site": site}
        text = _(
            "Somebody, perhaps you, asked for a new password for %(username)s at %(site)s.\n\nChoose one:"
        ) % {"username": user.username, "site": site}
    body = _(
        "%(text)s\n%(url)s\n\nThe link works once, until %(good_until)s. If you do not know of "
        "this, do nothing.\n"
    ) % {"text": text, "url": url, "good_until": good_until}
    return Mail(subject, body, settings.DEFAULT_FROM_EMAIL, [user.email])


def _word_of_passkey(user: User) -> Mail:
    """A passkey signs in without the password, and goes on doing so after another one."""
    named = {"site": settings.SITE_NAME, "username": user.username}
    body = _(
        "A passkey was added to the account %(username)s at %(site)s: it signs in without a password.\n\n"
        "If you do not know of this, remove it on the page Security, change your password, and speak to an "
        "administrator.\n"
    )
    subject = _("A new passkey at %(site)s")
    return Mail(subject % named, body % named, settings.DEFAULT_FROM_EMAIL, [user.email])
