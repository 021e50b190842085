"""A second factor: codes of an app (TOTP, RFC 6238), passkeys (core.accounts.passkeys), and recovery codes
for who lost both.

The secret is sealed, recovery codes are kept as digests, and each code works once: the row is locked while it
is looked at, so of simultaneous uses one wins.
"""

import base64
import hashlib
import secrets
import time
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db.models.functions import Now
from django.utils.translation import gettext
from django_otp.oath import TOTP

from core.access import role_of
from core.accounts.models import Passkey, RecoveryCode, SecondFactor, Session, User
from core.errors import ConflictError, DomainError
from core.outbound import sealing

SECRET_BYTES = 20
STEP_S, DIGITS = 30, 6
# How many steps a client's clock may be off.
TOLERANCE = 1
RECOVERY_CODES = 10


class CodeRefusedError(DomainError):
    """The code is wrong, used already or of another time."""

    code = "second_factor_wrong"

    def __init__(self) -> None:
        super().__init__(gettext("This code is not right, or was used already."))


def is_required(user: User) -> bool:
    """Whether the user's role may do nothing without one."""
    return role_of(user) in settings.SECOND_FACTOR_ROLES


def is_on(user: User) -> bool:
    """Whether signing in takes one."""
    return has_app(user) or has_passkey(user)


def has_app(user: User) -> bool:
    """Whether it may be a code of an app."""
    return SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).exists()


def has_passkey(user: User) -> bool:
    """Whether it may be a passkey."""
    return Passkey.objects.filter(user=user).exists()


def state(user: User) -> dict[str, Any]:
    """What its user is shown of it."""
    row = SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).first()
    passkeys = Passkey.objects.filter(user=user).count()
    left = RecoveryCode.objects.filter(user=user, used_at=None).count() if row or passkeys else 0
    return {
        "enabled": row is not None or passkeys > 0,
        "app": row is not None,
        "passkeys": passkeys,
        "required_by_role": is_required(user),
        "confirmed_at": row.confirmed_at if row else None,
        "recovery_codes_left": left,
    }


def is_missing(user: User, session: object) -> bool:
    """Whether this session may do nothing but set one up: its user's role needs one, and it proved none."""
    return is_required(user) and isinstance(session, Session) and not session.second_factor


def ensure_proven(user: User, session: Session | None) -> None:
    """Raises ConflictError where the user has a second factor that the session they add another in has not
    proven: it would count as proven from then on."""
    if is_on(user) and not (session is not None and session.second_factor):
        raise ConflictError(gettext("Prove your second factor first."), code="second_factor_needed")


def begin(user: User, session: Session | None) -> str:
    """A new secret, in base32, that counts once a code of it was confirmed. Raises ConflictError where an app
    gives codes already, and where the session has not proven what there is."""
    if has_app(user):
        raise ConflictError(
            gettext("A second factor is on already; switch it off first."), code="second_factor_on"
        )
    ensure_proven(user, session)
    key = secrets.token_bytes(SECRET_BYTES)
    sealed = sealing.seal(key.hex())
    SecondFactor.objects.update_or_create(user=user, defaults={"secret": sealed, "last_step": 0})
    return base64.b32encode(key).decode()


def address(user: User, secret: str) -> str:
    """What apps read from a QR code."""
    label = quote(f"{settings.SITE_NAME}:{user.username}")
    return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': settings.SITE_NAME})}"


def confirm(user: User, code: str, session: Session | None) -> list[str]:
    """Switch it on by a first code; recovery codes, which cannot be had again. Raises CodeRefusedError, and
    ConflictError where the session has not proven what there is."""
    ensure_proven(user, session)
    row = SecondFactor.objects.select_for_update().filter(user=user, confirmed_at=None).first()
    if row is None or not _takes(row, code):
        raise CodeRefusedError
    SecondFactor.objects.filter(pk=row.pk).update(confirmed_at=Now())
    return new_recovery_codes(user)


def new_recovery_codes(user: User) -> list[str]:
    """Codes in the place of those there were."""
    codes = [f"{secrets.token_hex(4)}-{secrets.token_hex(4)}" for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.filter(user=user).delete()
    RecoveryCode.objects.bulk_create(RecoveryCode(user=user, digest=_digest(code)) for code in codes)
    return codes


def prove(user: User, code: str) -> None:
    """Use up a code of the app, or a recovery code, in the caller's transaction. Raises CodeRefusedError."""
    row = SecondFactor.objects.select_for_update().filter(user=user, confirmed_at__isnull=False).first()
    given = "".join(code.split()).lower()
    if row is not None and _takes(row, given):
        return
    recovery = RecoveryCode.objects.filter(user=user, digest=_digest(given), used_at=None)
    if not recovery.update(used_at=Now()):
        raise CodeRefusedError


def switch_off(user: User) -> None:
    """From here on no app gives codes for the user. Raises ConflictError where nothing else is left to a role
    that needs a second factor."""
    keep_one(user, app=False)
    SecondFactor.objects.filter(user=user).delete()
    forget_recovery_codes(user)


def keep_one(user: User, *, app: bool = True, passkey: int | None = None) -> None:
    """Raises ConflictError where the user's role needs a second factor and this was the last one: the app, or
    the passkey of this id. Of two that are removed at once the second waits here for the first."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    others = Passkey.objects.filter(user=user)
    if passkey is not None:
        others = others.exclude(pk=passkey)
    left = (app and has_app(user)) or others.exists()
    if is_required(user) and not left:
        raise ConflictError("Your role needs a second factor.", code="second_factor_required")


def forget_recovery_codes(user: User) -> None:
    """Where there is nothing any more that they would stand for."""
    if not is_on(user):
        RecoveryCode.objects.filter(user=user).delete()


def reset(user: User) -> None:
    """From here on the password alone signs in."""
    SecondFactor.objects.filter(user=user).delete()
    Passkey.objects.filter(user=user).delete()
    RecoveryCode.objects.filter(user=user).delete()


def _takes(row: SecondFactor, code: str) -> bool:
    """Whether it is a code of now that was not used; it is from here on."""
    if not (code.isascii() and code.isdigit() and len(code) == DIGITS):
        return False
    totp = TOTP(bytes.fromhex(sealing.unseal(row.secret)), step=STEP_S, digits=DIGITS)
    totp.time = time.time()  # one moment for all that follows
    if not totp.verify(int(code), tolerance=TOLERANCE, min_t=row.last_step + 1):
        return False
    SecondFactor.objects.filter(pk=row.pk).update(last_step=totp.t())
    return True


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
