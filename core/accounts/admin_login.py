"""Signing in to the admin site: the same limits on guessing as at the API."""

from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from core.accounts.attempts import Attempt, TooManyAttemptsError
from core.accounts.origin import origin_of
from core.accounts.sessions import ALL, sessions_kept


class LoginForm(AuthenticationForm):
    def clean(self) -> dict[str, Any]:
        attempt = Attempt.by(self.cleaned_data.get("username", ""), origin_of(self.request))
        try:
            attempt.admit()
        except TooManyAttemptsError as error:
            raise ValidationError(error.message, code=error.code) from error
        with sessions_kept(ALL):
            cleaned = super().clean()
        attempt.succeeded()
        return cleaned
