"""Signing in to the admin site: the same limits on guessing as at the API."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.forms import AuthenticationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from core.accounts import passkeys, second_factor
from core.accounts.attempts import Attempt, TooManyAttemptsError
from core.accounts.models import User
from core.accounts.origin import origin_of
from core.accounts.passkeys import PasskeyRefusedError
from core.accounts.sessions import ALL, sessions_kept
from core.accounts.single_sign_on import provider


class LoginForm(AuthenticationForm):
    error_messages = AuthenticationForm.error_messages | {
        "no_access": _(
            "This account may use the API and not this site."
            " An administrator can change that: Users, staff status."
        ),
    }

    code = forms.CharField(
        label=_("Code of your second factor, if you have one"),
        required=False,
        max_length=40,
        # It stands outside of the form's own element (templates/admin/login.html).
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "one-time-code", "form": "login-form"}),
    )

    # What the browser made of a passkey (core/static/crm/passkeys.js), in place of the password or beside it.
    passkey = forms.CharField(required=False, max_length=15_000, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A passkey does without them: `clean` says what is missing, and browsers are not left to ask.
        for name in ("username", "password"):
            self.fields[name].required = False
            self.fields[name].widget.attrs["required"] = True

    @property
    def passkeys(self) -> bool:
        """Whether one may sign in by one."""
        return passkeys.is_configured()

    @property
    def single_sign_on(self) -> str:
        """Where to sign in at the identity provider, and come back from to where one was going."""
        if not provider.is_configured():
            return ""
        return f"{reverse('sso-login')}?{urlencode({'next': self.request.GET.get('next', '')})}"

    @property
    def single_sign_on_name(self) -> str:
        return settings.OIDC_NAME

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("passkey") and not self.cleaned_data.get("password"):
            return self._by_passkey()
        missing = [name for name in ("username", "password") if not self.cleaned_data.get(name)]
        if missing:
            for name in missing:
                self.add_error(name, self.fields[name].error_messages["required"])
            return self.cleaned_data
        attempt = Attempt.by(self.cleaned_data.get("username", ""), origin_of(self.request))
        try:
            attempt.admit()
        except TooManyAttemptsError as error:
            raise ValidationError(error.message, code=error.code) from error
        with sessions_kept(ALL):
            cleaned = super().clean()
        if (user := self.get_user()) is None:
            raise self.get_invalid_login_error()
        self._prove_second_factor(user)
        attempt.succeeded()
        return cleaned

    def confirm_login_allowed(self, user: User) -> None:
        """Raises ValidationError, which does not call the right password of someone else a wrong one."""
        if user.is_active and not user.is_staff:
            raise ValidationError(self.error_messages["no_access"], code="no_access")
        super().confirm_login_allowed(user)

    user_cache: User | None

    def _by_passkey(self) -> dict[str, Any]:
        """Raises ValidationError."""
        try:
            user = passkeys.sign_in(passkeys.read(self.cleaned_data["passkey"]), origin_of(self.request))
        except (TooManyAttemptsError, PasskeyRefusedError) as error:
            raise ValidationError(error.message, code=error.code) from error
        self.confirm_login_allowed(user)
        self.user_cache = user
        self.request.second_factor_proven = True
        return self.cleaned_data

    def _prove_second_factor(self, user: User) -> None:
        """Raises ValidationError where the user has a second factor and neither code nor passkey is right, or
        must have one and has none: setting one up is the API's."""
        if not second_factor.is_on(user):
            if second_factor.is_required(user):
                message = gettext(
                    "Your role needs a second factor: set one up over the API (/api/auth/second_factor/)."
                )
                raise ValidationError(message, code="second_factor_required")
            return
        try:
            with transaction.atomic():
                if answer := self.cleaned_data.get("passkey"):
                    passkeys.prove(passkeys.read(answer), passkeys.SECOND_FACTOR, user)
                else:
                    second_factor.prove(user, self.cleaned_data.get("code", ""))
        except (second_factor.CodeRefusedError, PasskeyRefusedError) as error:
            self.user_cache = None
            raise ValidationError({"code": error.message}) from error
        self.request.second_factor_proven = True  # for the session (core.accounts.cookies)
