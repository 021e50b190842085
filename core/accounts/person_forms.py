"""Forms of people in the admin site: one that is there, and a new one with their way in."""

from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.forms import UserChangeForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminRadioSelectWidget

from core.accounts.models import User
from core.accounts.own_account import PlaceFields
from core.admin.captured import CapturedForm

INVITE, PASSWORD, NONE = "invite", "password", "none"
WAYS_IN = (
    (INVITE, gettext_lazy("By an invitation: a link by e-mail, by which they choose a password")),
    (PASSWORD, gettext_lazy("By a password that you set here")),
    (NONE, gettext_lazy("Without a password: by the identity provider")),
)


class PersonForm(UserChangeForm, PlaceFields, CapturedForm):
    """Of languages, time zones and countries those are offered that there are."""


def _password(label: Any) -> forms.CharField:
    widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
    return forms.CharField(label=label, required=False, strip=False, widget=widget)


class NewPersonForm(PlaceFields, CapturedForm):
    """Who they are, and how they sign in for the first time."""

    way_in = forms.ChoiceField(
        label=gettext_lazy("Signs in"), choices=WAYS_IN, initial=INVITE, widget=UnfoldAdminRadioSelectWidget
    )
    password1 = _password(gettext_lazy("Password"))
    password2 = _password(gettext_lazy("The password once more"))

    class Meta:
        model = User
        fields: tuple[str, ...] = ()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        way_in, given = cleaned.get("way_in"), cleaned.get("password1")
        if way_in == INVITE and not cleaned.get("email") and "email" not in self.errors:
            self.add_error("email", _("The invitation needs an e-mail address."))
        if way_in == PASSWORD and not given:
            self.add_error("password1", _("Enter a password."))
        elif given != cleaned.get("password2"):
            self.add_error("password2", _("The two passwords differ."))
        elif given and way_in != PASSWORD:
            self.add_error("way_in", _("A password was entered: choose to sign in by it, or empty it."))
        return cleaned

    def _post_clean(self) -> None:
        """Passwords are compared with the names of whom they are for, which the instance has by now."""
        super()._post_clean()  # type: ignore[misc]  # of Django's own forms
        if given := self.cleaned_data.get("password1"):
            try:
                password_validation.validate_password(given, self.instance)
            except ValidationError as error:
                self.add_error("password1", error)

    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit=False)
        # None makes it one that nobody can enter.
        user.set_password(self.cleaned_data.get("password1") or None)
        if commit:
            user.save()
        return user
