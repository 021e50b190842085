"""Exchange rates as JSON, and what answers say of a total in one currency."""

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import serializers

from core.api.resources import StrictSerializer
from core.api.strict import StrictFieldsMixin
from core.currencies import csv_file, recording
from core.currencies.field_types import RateOfExchange
from core.currencies.models import ExchangeRate
from core.entities.field_types import Boolean, Date, refuse
from core.entities.money import CURRENCY

RESTATES = "Whether closed amounts count by this rate as well, where they counted by another one or by none."


class ExchangeRateSerializer(StrictSerializer):
    """What one unit of `currency` costs in `base`, the organisation's, from `date` on."""

    currency = CURRENCY.copy()
    rate = RateOfExchange()
    closing_rate = RateOfExchange(read_only=True, allow_null=True, help_text="What closed amounts count by.")
    restates_closed = Boolean(write_only=True, required=False, help_text=RESTATES)

    class Meta:
        model = ExchangeRate
        fields = [
            "id", "currency", "date", "rate", "closing_rate", "base", "source", "restates_closed",
            "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["base", "source", "created_at", "updated_at"]
        # The database refuses a second rate of a day, as a conflict.
        validators: tuple[()] = ()

    def validate_currency(self, currency: str) -> str:
        if not currency:
            raise refuse("required", _("This field is required."))
        return currency

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        self._restates = bool(attrs.pop("restates_closed", False))
        return super().validate(attrs)

    def save(self, **kwargs: Any) -> ExchangeRate:
        """As somebody's own, and with what closed amounts count by."""
        rate: Any = ExchangeRate(**{**self._kept(), **self.validated_data})
        today = timezone.localdate(timezone=self.context["request"].user.zone)
        recording.settle(rate, today, restates=self._restates)
        return super().save(**kwargs, closing_rate=rate.closing_rate, source=ExchangeRate.Source.MANUAL)

    def _kept(self) -> dict[str, Any]:
        names = [field.attname for field in ExchangeRate._meta.concrete_fields]
        return {name: getattr(self.instance, name) for name in names} if self.instance else {}


class RateFileSerializer(StrictFieldsMixin, serializers.Serializer):
    """A CSV file with the columns currency, date and rate."""

    file = serializers.FileField(help_text="CSV in UTF-8 with the columns currency, date and rate.")
    restates_closed = Boolean(required=False, help_text=RESTATES)

    def validate_file(self, file: UploadedFile) -> list[recording.DatedRate]:
        return csv_file.read(file.read())


class StoredRatesSerializer(serializers.Serializer):
    """How many rates are new or changed; `open_only` of them count only for open amounts."""

    written = serializers.IntegerField()
    open_only = serializers.IntegerField()


class NamedRateSerializer(serializers.Serializer):
    """A rate used: what one unit of `currency` is in the total's. `date` is the day of the older of the two
    rates that it is made of, `closed` whether closed amounts count by it."""

    currency = serializers.CharField()
    date = Date(allow_null=True)
    rate = serializers.CharField()
    closed = serializers.BooleanField()
