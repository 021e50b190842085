"""What users say about themselves on the page Settings: the same fields as over the API."""

from typing import Any

import phonenumbers
from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelect2Widget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from core.accounts.models import User
from core.accounts.zone_names import zone_choices
from core.admin.formats import locale
from core.models.folding import fold


class PlaceFields(forms.ModelForm):
    """Language, time zone and country are chosen from lists, by name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "language" in self.fields:
            choices = [("", _("As the browser asks")), *settings.LANGUAGES]
            self.fields["language"] = forms.ChoiceField(
                choices=choices, required=False, widget=UnfoldAdminSelectWidget, label=_("Language")
            )
        if "time_zone" in self.fields:
            self.fields["time_zone"] = forms.ChoiceField(
                choices=zone_choices(self.instance.time_zone),
                widget=UnfoldAdminSelect2Widget,
                label=_("Time zone"),
                help_text=_("Times are shown and entered in it; days and reminders begin by it."),
            )
        if "phone_region" in self.fields:
            self.fields["phone_region"] = forms.ChoiceField(
                choices=[("", "-"), *_countries()],
                required=False,
                widget=UnfoldAdminSelect2Widget,
                label=_("Country of phone numbers"),
                help_text=_("Where numbers are from that are written without a country code."),
            )


class OwnAccountForm(PlaceFields):
    class Meta:
        model = User
        fields = ("first_name", "last_name", "phone", "phone_region", "language", "time_zone")
        widgets = dict.fromkeys(("first_name", "last_name", "phone"), UnfoldAdminTextInputWidget)
        labels = {"phone": gettext_lazy("Phone")}


def _countries() -> list[tuple[str, str]]:
    names = locale().territories
    found = [(code, names.get(code, code)) for code in phonenumbers.SUPPORTED_REGIONS]
    return sorted(found, key=lambda one: fold(one[1]))
