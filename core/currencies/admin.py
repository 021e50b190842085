"""Exchange rates in the admin site."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from core.admin.captured import CapturedAdmin, CapturedForm
from core.admin.navigation import DATA, Menu
from core.currencies import recording
from core.currencies.models import FIXED, ExchangeRate, base_currency
from core.entities.money import CURRENCY


class RateForm(CapturedForm):
    """One of the currencies there are, but the organisation's own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "currency" in self.fields:
            codes = [(code, code) for code in CURRENCY.choices if code != base_currency()]
            self.fields["currency"] = forms.ChoiceField(choices=codes, widget=UnfoldAdminSelectWidget)


@admin.register(ExchangeRate)
class ExchangeRateAdmin(CapturedAdmin):
    menu = Menu(DATA, "currency_exchange", 52)
    form = RateForm
    list_display = ("currency", "date", "shown_rate", "shown_closing_rate", "base", "source")
    list_filter = ("currency", "source")
    ordering = ("-date", "currency")
    fields = ("currency", "date", "rate", "closing_rate", "base", "source")

    @admin.display(description=_("rate"), ordering="rate")
    def shown_rate(self, rate: ExchangeRate) -> str:
        return f"{rate.rate.normalize():f}"

    @admin.display(description=_("of closed amounts"), empty_value="-")
    def shown_closing_rate(self, rate: ExchangeRate) -> str | None:
        return None if rate.closing_rate is None else f"{rate.closing_rate.normalize():f}"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What a rate is of stays as it is."""
        return ("closing_rate", "base", "source", *(FIXED if obj else ()))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        user: Any = request.user
        recording.settle(obj, timezone.localdate(timezone=user.zone), restates=False)
        obj.source = ExchangeRate.Source.MANUAL
        super().save_model(request, obj, form, change)
