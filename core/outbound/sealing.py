"""Secrets at rest: encrypted with keys derived from SECRET_KEY, readable through SECRET_KEY_FALLBACKS."""

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PREFIX = "sealed:"


class UnsealError(ValueError):
    """None of the keys opens this: SECRET_KEY was changed without keeping the old one as a fallback."""


def seal(text: str) -> str:
    """`text` encrypted; what is sealed already stays as it is."""
    if is_sealed(text):
        return text
    return PREFIX + _box().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """The text again; text that was never sealed is given back. Raises UnsealError."""
    if not is_sealed(sealed):
        return sealed
    try:
        return _box().decrypt(sealed.removeprefix(PREFIX).encode()).decode()
    except InvalidToken as error:
        raise UnsealError("this secret was sealed under another SECRET_KEY") from error


def is_sealed(text: str) -> bool:
    return text.startswith(PREFIX)


def _box() -> MultiFernet:
    return MultiFernet([_fernet(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _fernet(secret: str) -> Fernet:
    derived = HKDF(SHA256(), 32, salt=None, info=b"crm secrets at rest").derive(str(secret).encode())
    return Fernet(base64.urlsafe_b64encode(derived))
