"""What reports are asked by: each report's own parameters; the others are filters of the list."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from dateutil.relativedelta import relativedelta
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.entities.field_types import Date
from core.reports.models import Goal
from core.reports.periods import DateRange, Unit, check_years, first_day, next_first_day
from core.reports.reported import ReportedEntity, default_entity, reported_entities, with_forecast, with_past
from core.reports.win_loss import By

MONTHS = 12
FORMATS = ("json", "csv")


class ReportedEntityField(serializers.CharField):
    """The name of an entity that may be reported; the declaration once it is read."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)

    def to_internal_value(self, data: Any) -> ReportedEntity:  # type: ignore[override]  # the stub's own type
        found = reported_entities.get(data)
        if found is None or data not in self.known():
            message = _("Expected one of: %(known)s.") % {"known": ", ".join(self.known())}
            raise ValidationError(message, code="invalid_choice")
        return found

    def known(self) -> list[str]:
        return reported_entities.keys()


class PastEntityField(ReportedEntityField):
    """One whose open amounts of the past are known."""

    def known(self) -> list[str]:
        return with_past()


class GroupByField(serializers.CharField):
    """Names with commas."""

    def to_internal_value(self, data: Any) -> list[str]:  # type: ignore[override]  # the stub's own type
        return [name.strip() for name in super().to_internal_value(data).split(",") if name.strip()]


class ReportParameters(serializers.Serializer):
    """Of every report."""

    format = serializers.ChoiceField(choices=FORMATS, default="json", help_text="`csv` for a file.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name, value in attrs.items():
            if isinstance(value, date):
                check_years(value, name)
        return attrs


class EntityParameters(ReportParameters):
    """Of reports about an entity."""

    entity = ReportedEntityField(help_text="What is reported; opportunities without it.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs.setdefault("entity", reported_entities[default_entity()])
        return super().validate(attrs)


class RangeParameters(serializers.Serializer):
    """Days from `start` to `end`."""

    start = Date(required=False, help_text="The first day; without it a year before the end, less a month.")
    end = Date(required=False, help_text="The last day; today without it.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        user = self.context["user"]
        end = attrs.get("end") or timezone.localdate(timezone=user.zone)
        start = attrs.get("start") or end.replace(day=1) - relativedelta(months=MONTHS - 1)
        if start > end:
            raise ValidationError({"start": [_("It is after the end.")]}, code="invalid")
        return attrs | {"range": DateRange(start, end)}


class TrendParameters(RangeParameters, EntityParameters):
    period = serializers.ChoiceField(choices=Unit.choices, default=Unit.MONTH.value)
    group_by = GroupByField(
        required=False,
        help_text="Up to two names with commas: `source`, and what statistics are grouped by (`owner`, "
        "`team`, `stage`, `custom_fields.plan`, `created_at__month`, …).",
    )


class CohortParameters(RangeParameters, EntityParameters):
    """Of reports about what was made, or closed, on the days of a range."""


class WinLossParameters(RangeParameters, EntityParameters):
    by = serializers.ChoiceField(choices=By.choices, default=By.REASON.value)


class PipelineParameters(ReportParameters):
    entity = PastEntityField(help_text="What is reported; opportunities without it.")
    due_from = Date(required=False, help_text="Expected to close on this day or later.")
    due_until = Date(required=False, help_text="Expected to close on this day or before.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs.setdefault("entity", reported_entities[default_entity()])
        return super().validate(attrs)


class AsOfParameters(PipelineParameters):
    date = Date(required=False, help_text="As at the end of this day; yesterday without it.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        user = self.context["user"]
        attrs.setdefault("date", timezone.localdate(timezone=user.zone) - timedelta(days=1))
        return super().validate(attrs)


class WaterfallParameters(RangeParameters, PipelineParameters):
    """From the beginning of the first day to the end of the last."""


class ForecastEntityField(ReportedEntityField):
    """One of which something is expected."""

    def known(self) -> list[str]:
        return with_forecast()


class ForecastParameters(ReportParameters):
    entity = ForecastEntityField(help_text="What is reported; opportunities without it.")
    period = serializers.ChoiceField(choices=Goal.Period.choices, default=Goal.Period.MONTH.value)
    start = Date(required=False, help_text="A day of the month or quarter; today without it.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs.setdefault("entity", reported_entities[default_entity()])
        attrs.setdefault("start", timezone.localdate(timezone=self.context["user"].zone))
        attrs = super().validate(attrs)
        first, period = first_day(attrs["start"], attrs["period"]), attrs["period"]
        return attrs | {"range": DateRange(first, next_first_day(first, period) - timedelta(days=1))}


class ActivityParameters(RangeParameters, ReportParameters):
    """What happened on the days of a range."""


def asked_of(
    serializer_class: type[serializers.Serializer], given: Mapping[str, str], user: Any
) -> dict[str, Any]:
    """A report's own parameters, checked. Raises ValidationError."""
    names: Iterable[Any] = serializer_class().fields
    known = {name: given[name] for name in names if given.get(name)}
    serializer = serializer_class(data=known, context={"user": user})
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data
