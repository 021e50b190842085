"""Passkeys (WebAuthn Level 3): a sign-in of their own, or a second proof beside the password.

`fido2` checks what authenticators answer; here stand whose passkey it is and what it counts for. A challenge
is answered once, within minutes, for the purpose and the user that it was given out for. Challenges are kept
in Valkey alone: if it is wiped, one begins again.
"""

import hashlib
import json
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from fido2.cose import ES256
from fido2.server import Fido2Server
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    AttestationConveyancePreference,
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorData,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from core.accounts import password_mails, second_factor
from core.accounts.attempts import Attempt
from core.accounts.models import Passkey, PasswordMail, Session, User
from core.accounts.origin import Origin
from core.accounts.password_sign_in import SUPERUSERS
from core.accounts.sessions import end_others, is_password
from core.errors import ConflictError, DomainError, InvalidError, NotVisibleError

log = logging.getLogger(__name__)
# What a challenge is given out for.
REGISTRATION, SIGN_IN, SECOND_FACTOR = "registration", "sign_in", "second_factor"
CHALLENGE_LIFE_S = 300
# How long ago who has no password must have signed in, to change what they sign in by.
FRESH = timedelta(minutes=15)
MAX_PER_USER = 20
_PREFIX = "passkey-challenge:"
_ID = re.compile(r"[A-Za-z0-9_-]{1,1364}")


class PasskeyRefusedError(DomainError):
    """Not a passkey of this user, not signed by it, or an answer to no open challenge: which, is not said."""

    code = "passkey_refused"

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        super().__init__(message or _("This passkey was not accepted. Try again."), code=code)


@dataclass(frozen=True)
class _Asked:
    """What a challenge was given out for."""

    purpose: str
    # Whose passkey may answer; None for anybody's.
    user_id: int | None
    user_handle: str = ""


def read(text: str) -> dict[str, Any]:
    """What a form sends of the browser's answer. Raises PasskeyRefusedError for what is no JSON object."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PasskeyRefusedError from error
    if not isinstance(answer, dict):
        raise PasskeyRefusedError
    return answer


def is_configured() -> bool:
    """Whether this installation has a domain that passkeys can be for."""
    return bool(settings.PASSKEY_DOMAIN and settings.PASSKEY_ORIGINS)


@dataclass(frozen=True)
class GivenProof:
    """What somebody gave to show that they are the owner of an account."""

    password: str = ""
    code: str = ""
    passkey: Mapping[str, Any] | None = None


def prove_owner(user: User, given: GivenProof, session: Session | None, origin: Origin) -> None:
    """Whoever makes or removes a passkey gives their password; who has none, as who signs in at an identity
    provider, signed in lately. Where a second factor is on, that is proven as well. Raises
    TooManyAttemptsError, InvalidError, ConflictError."""
    if user.has_usable_password():
        attempt = Attempt(user.username, origin)
        attempt.admit()
        if not is_password(user, given.password):
            raise InvalidError.of("current_password", _("This is not your password."), "incorrect")
        attempt.succeeded()
    elif session is None or session.created_at < timezone.now() - FRESH:
        raise ConflictError(_("Sign in again: your session began too long ago."), code="sign_in_again")
    if second_factor.is_on(user):
        prove_factor(user, given, session, origin)


def prove_factor(user: User, given: GivenProof, session: Session | None, origin: Origin) -> None:
    """A code or a passkey of the user, for which the session counts from then on; a wrong one counts like a
    wrong password. Raises TooManyAttemptsError, InvalidError."""
    if not given.code and not given.passkey:
        message = _("Send the code of your second factor, or your passkey, as well.")
        raise InvalidError.of("code", message, "second_factor_needed")
    attempt = Attempt(user.username, origin)
    attempt.admit()
    try:
        if given.passkey:
            prove(given.passkey, SECOND_FACTOR, user)
        else:
            second_factor.prove(user, given.code)
    except (PasskeyRefusedError, second_factor.CodeRefusedError) as error:
        raise InvalidError.of("passkey" if given.passkey else "code", error.message, error.code) from error
    attempt.succeeded()
    if session is not None:
        Session.objects.filter(pk=session.pk).update(second_factor=True)
        session.second_factor = True


def registration_options(user: User) -> dict[str, Any]:
    """What `navigator.credentials.create` takes, as JSON."""
    mine = list(Passkey.objects.filter(user=user))
    handle = mine[0].user_handle if mine else websafe_encode(secrets.token_bytes(32))
    options, state = _server().register_begin(
        PublicKeyCredentialUserEntity(
            id=websafe_decode(handle), name=user.username, display_name=user.get_full_name()
        ),
        [_descriptor(row.credential_id) for row in mine],
        resident_key_requirement=ResidentKeyRequirement.PREFERRED,
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    _keep(state["challenge"], _Asked(REGISTRATION, user.pk, handle))
    return _plain(options.public_key)


def register(
    user: User, answer: Mapping[str, Any], name: str, kept: Session | None = None
) -> tuple[Passkey, list[str]]:
    """A new passkey of the user, and recovery codes where it is their first second factor; all sessions end
    that have proven none, but for the one that is `kept`. Raises PasskeyRefusedError, and ConflictError where
    that one has not proven the factor that there is."""
    second_factor.ensure_proven(user, kept)
    read = _trusted(lambda: RegistrationResponse.from_dict(answer))
    client_data = read.response.client_data
    asked, state = _taken(client_data.challenge, REGISTRATION, UserVerificationRequirement.PREFERRED)
    _refuse_if(asked.user_id != user.pk or client_data.cross_origin)
    data = _trusted(lambda: _server().register_complete(state, read))
    _refuse_if(data.credential_data is None or data.credential_data.credential_id != read.raw_id)
    _refuse_if(not User.objects.select_for_update(no_key=True).filter(pk=user.pk, is_active=True))
    second_factor.ensure_proven(user, kept)
    if Passkey.objects.filter(user=user).count() >= MAX_PER_USER:
        raise ConflictError(
            _("At most %(n)d passkeys; remove those no longer used.") % {"n": MAX_PER_USER}, code="too_many"
        )
    was_on = second_factor.is_on(user)
    row = _new(user, asked, data, name)
    codes = [] if was_on else second_factor.new_recovery_codes(user)
    end_others(user, kept)
    if user.email:
        password_mails.ask(user.email, PasswordMail.Kind.PASSKEY)
    return row, codes


def _new(user: User, asked: _Asked, data: AuthenticatorData, name: str) -> Passkey:
    credential: Any = data.credential_data
    row = Passkey(user=user, name=name, user_handle=asked.user_handle)
    row.credential_id = websafe_encode(credential.credential_id)
    row.credential = websafe_encode(bytes(credential))
    row.sign_count, row.backed_up = data.counter, data.is_backed_up()
    row.created_at = timezone.now()
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise PasskeyRefusedError(_("This passkey is registered already.")) from error
    return row


def rename(user: User, pk: int, name: str) -> Passkey:
    """Raises NotVisibleError."""
    row = _mine(user, pk)
    row.name = name
    row.save(update_fields=["name"])
    return row


def remove(user: User, pk: int) -> None:
    """Raises NotVisibleError, and ConflictError for the last second factor of who must have one."""
    row = _mine(user, pk)
    second_factor.keep_one(user, passkey=row.pk)
    row.delete()
    second_factor.forget_recovery_codes(user)


def remove_lost(user: User, pk: int) -> None:
    """Take a passkey away from a user who lost it, which an administrator does; ends their sessions. Raises
    NotVisibleError."""
    _mine(user, pk).delete()
    second_factor.forget_recovery_codes(user)
    user.sessions.end(Session.Ending.SECOND_FACTOR)


def _mine(user: User, pk: int) -> Passkey:
    row = Passkey.objects.filter(user=user, pk=pk).first()
    if row is None:
        raise NotVisibleError("Not found.")
    return row


def sign_in_options(purpose: str = SIGN_IN, user: User | None = None) -> dict[str, Any]:
    """What `navigator.credentials.get` takes, as JSON. Ids of passkeys are in it for a `user` who has proven
    to be one otherwise; else the browser asks which of those that the authenticator keeps by itself."""
    ids = [] if user is None else Passkey.objects.filter(user=user).values_list("credential_id", flat=True)
    options, state = _server().authenticate_begin(
        [_descriptor(one) for one in ids] or None, _verification(purpose)
    )
    _keep(state["challenge"], _Asked(purpose, user.pk if user else None))
    return _plain(options.public_key)


def sign_in(answer: Mapping[str, Any], origin: Origin) -> User:
    """The active user who proved to be one by a passkey alone; failures count like wrong passwords. Raises
    TooManyAttemptsError, PasskeyRefusedError."""
    text = _id(answer)
    name = User.objects.filter(passkeys__credential_id=text).values_list("username", flat=True).first()
    attempt = Attempt(name or f"passkey {text}", origin)
    attempt.admit()
    user = prove(answer, SIGN_IN).user
    attempt.succeeded()
    return user


def prove(answer: Mapping[str, Any], purpose: str, user: User | None = None) -> Passkey:
    """The passkey, of `user` where one is named, that answered a challenge for the purpose. Raises
    PasskeyRefusedError."""
    _refuse_if(not _id(answer))
    read = _trusted(lambda: AuthenticationResponse.from_dict(answer))
    client_data = read.response.client_data
    asked, state = _taken(client_data.challenge, purpose, _verification(purpose))
    with transaction.atomic():
        rows = Passkey.objects.select_for_update(of=("self",)).select_related("user")
        row = rows.filter(credential_id=_id(answer), user__is_active=True).first()
        # An id that nobody has takes as long as a wrong signature.
        credential = AttestedCredentialData(websafe_decode(row.credential)) if row else _decoy(read.raw_id)
        _trusted(lambda: _server().authenticate_complete(state, [credential], read))
        if row is None or client_data.cross_origin:
            raise PasskeyRefusedError
        handle = read.response.user_handle
        _refuse_if(handle is not None and websafe_encode(handle) != row.user_handle)
        _refuse_if(asked.user_id not in (None, row.user_id) or (user is not None and user.pk != row.user_id))
        _refuse_if(purpose == SIGN_IN and not _may_sign_in(row.user))
        _note_use(row, read.response.authenticator_data)
    return row


def _note_use(row: Passkey, data: AuthenticatorData) -> None:
    """Raises PasskeyRefusedError where the authenticator has counted further than this before: there are two
    of it. Those that do not count say 0 always."""
    if (row.sign_count or data.counter) and data.counter <= row.sign_count:
        log.warning(
            "passkey %s of user %s counted %s after %s: it may have been copied",
            *(row.pk, row.user_id, data.counter, row.sign_count),
        )
        raise PasskeyRefusedError(
            _("The counter of this passkey went back: it may have been copied. Remove it."),
            code="passkey_counter",
        )
    row.sign_count, row.backed_up, row.last_used_at = data.counter, data.is_backed_up(), timezone.now()
    row.save(update_fields=["sign_count", "backed_up", "last_used_at"])


def _may_sign_in(user: User) -> bool:
    """As by password: where that is left to superusers, all others go to the identity provider."""
    return settings.PASSWORD_SIGN_IN != SUPERUSERS or user.is_superuser


def _verification(purpose: str) -> UserVerificationRequirement:
    """What proves all by itself proves who holds it too, by a PIN or a finger."""
    return (
        UserVerificationRequirement.REQUIRED if purpose == SIGN_IN else UserVerificationRequirement.PREFERRED
    )


def _id(answer: Mapping[str, Any]) -> str:
    """The id of the credential that answered, "" for what can be none."""
    text = answer.get("id")
    return text if isinstance(text, str) and _ID.fullmatch(text) else ""


def _server() -> Fido2Server:
    """Raises ConflictError where there is no domain that passkeys could be for."""
    if not is_configured():
        raise ConflictError(_("Passkeys are not configured here."), code="passkeys_off")
    party = PublicKeyCredentialRpEntity(id=settings.PASSKEY_DOMAIN, name=settings.SITE_NAME)
    return Fido2Server(
        party,
        attestation=AttestationConveyancePreference.NONE,
        verify_origin=lambda origin: origin in settings.PASSKEY_ORIGINS,
    )


def _keep(challenge: str, asked: _Asked) -> None:
    cache.set(_key(challenge), [asked.purpose, asked.user_id, asked.user_handle], CHALLENGE_LIFE_S)


def _taken(
    challenge: bytes, purpose: str, verification: UserVerificationRequirement
) -> tuple[_Asked, dict[str, Any]]:
    """What the challenge was given out for, once: of simultaneous answers the one that deletes it wins."""
    text = websafe_encode(challenge)
    kept = cache.get(_key(text))
    _refuse_if(not kept or not cache.delete(_key(text)) or kept[0] != purpose)
    return _Asked(*kept), {"challenge": text, "user_verification": verification}


def _key(challenge: str) -> str:
    return _PREFIX + hashlib.sha256(challenge.encode()).hexdigest()


def _refuse_if(refused: bool) -> None:
    if refused:
        raise PasskeyRefusedError


def _trusted(work: Callable[[], Any]) -> Any:
    """What the library made of something that anybody may have written. Raises PasskeyRefusedError."""
    try:
        return work()
    except DomainError:
        raise
    except Exception as error:  # whatever it trips over: CBOR, base64, a key of an unknown kind
        log.info("a passkey was refused: %s", error)
        raise PasskeyRefusedError from error


def _descriptor(credential_id: str) -> PublicKeyCredentialDescriptor:
    return PublicKeyCredentialDescriptor(
        type=PublicKeyCredentialType.PUBLIC_KEY, id=websafe_decode(credential_id)
    )


def _plain(options: Any) -> Any:
    """The library's mappings, enumerations and bytes as JSON has them."""
    if isinstance(options, Mapping):
        return {key: _plain(options[key]) for key in options}
    if isinstance(options, list | tuple):
        return [_plain(one) for one in options]
    if isinstance(options, bytes):
        return websafe_encode(options)
    return str(options) if isinstance(options, str) else options


def _decoy(credential_id: bytes) -> AttestedCredentialData:
    return AttestedCredentialData.create(bytes(16), credential_id, _decoy_key())


@lru_cache(maxsize=1)
def _decoy_key() -> ES256:
    """A key that has signed nothing."""
    return ES256.from_cryptography_key(ec.generate_private_key(ec.SECP256R1()).public_key())
