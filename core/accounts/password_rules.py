"""Passwords that are long and still plain: blanks, a word twice, a row of keys, a common word with a year.

Django's own validators look at the whole password only, so twelve blanks or `Password2024!` pass them.
"""

import re
import string
from typing import Any

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MIN_DIFFERENT = 5
ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "azertyuiop",
)
_REPEATED = re.compile(r"(.+?)\1+\Z", re.DOTALL)
_AROUND = string.digits + string.punctuation


class PlainPasswordValidator(CommonPasswordValidator):
    """Refuses what anyone would try after the list of common passwords."""

    def __init__(self, min_length: int = 12, **options: Any) -> None:
        super().__init__(**options)
        self.min_length = min_length

    def validate(self, password: str, user: Any = None) -> None:
        plain = "".join(password.casefold().split())
        if len(plain) < self.min_length:
            raise ValidationError(
                _("Blanks do not count: at least %(min_length)s other characters.")
                % {"min_length": self.min_length},
                "password_blank",
            )
        if len(set(plain)) < MIN_DIFFERENT or self._is_plain(plain):
            raise ValidationError(_("This password is too easily guessed."), "password_too_plain")

    def _is_plain(self, plain: str) -> bool:
        repeated = _REPEATED.match(plain)
        word = (repeated[1] if repeated else plain).strip(_AROUND)
        return _is_row(plain) or word in self.passwords or (repeated is not None and len(repeated[1]) < 8)

    def get_help_text(self) -> str:
        return _(
            "Your password cannot be blank, one word repeated, a row of keys or a common word with digits."
        )


def _is_row(plain: str) -> bool:
    """Whether it runs along the alphabet, the digits or the keyboard, in either direction, repeatedly."""
    rows = [row * (len(plain) // len(row) + 2) for row in ROWS]
    keyboard = "".join(ROWS[2:5])
    return any(plain in text or plain in text[::-1] for text in (*rows, keyboard * 2))
