"""The answers of reports, for the OpenAPI document: reports give them as they are."""

from typing import Any

from rest_framework import serializers

from core.api.serializers import GroupValueSerializer
from core.entities.field_types import Money
from core.reports.models import Goal
from core.reports.periods import Unit
from core.reports.win_loss import By


def amount() -> Any:
    """A sum of one currency."""
    return Money(decimal_places=4)


class ReportSerializer(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    url = serializers.CharField()
    entities = serializers.ListField(child=serializers.CharField())
    parameters = serializers.ListField(child=serializers.CharField())


class ReportListSerializer(serializers.Serializer):
    """The reports there are, on one page."""

    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ReportSerializer(many=True)


class TrendAmountsSerializer(serializers.Serializer):
    created_value = amount()
    won_value = amount()
    lost_value = amount()


class TrendFiguresSerializer(serializers.Serializer):
    created = serializers.IntegerField()
    won = serializers.IntegerField()
    lost = serializers.IntegerField()
    by_currency = serializers.DictField(child=TrendAmountsSerializer())


class TrendRowSerializer(TrendFiguresSerializer):
    period = serializers.DateField(help_text="Its first day.")
    groups = GroupValueSerializer(many=True)
    previous = TrendFiguresSerializer(help_text="The same of the period before.")


class TrendBeforeSerializer(TrendFiguresSerializer):
    start = serializers.DateField()
    end = serializers.DateField()


class RangeSerializer(serializers.Serializer):
    entity = serializers.CharField()
    start = serializers.DateField()
    end = serializers.DateField()
    time_zone = serializers.CharField()


class TrendSerializer(RangeSerializer):
    """Created, won and lost by period."""

    period = serializers.ChoiceField(choices=Unit.choices)
    rows = TrendRowSerializer(many=True)
    totals = TrendFiguresSerializer()
    previous = TrendBeforeSerializer(help_text="Of as many periods before.")


class FunnelStepSerializer(serializers.Serializer):
    step = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field; DRF takes it off
    count = serializers.IntegerField(help_text="Came as far as this step.")
    conversion = serializers.FloatField(allow_null=True, help_text="Of those in the step before, 0 to 1.")
    conversion_from_start = serializers.FloatField(allow_null=True)
    median_days = serializers.FloatField(
        allow_null=True, help_text="From the step that records were in before to this one."
    )


class FunnelSerializer(RangeSerializer):
    """How many of the records made within a range came how far."""

    total = serializers.IntegerField()
    rows = FunnelStepSerializer(many=True)
    open = serializers.IntegerField()
    won = serializers.IntegerField()
    lost = serializers.IntegerField()


class VelocityStepSerializer(serializers.Serializer):
    step = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field; DRF takes it off
    left = serializers.IntegerField(help_text="Stays that ended within the range.")
    mean_days = serializers.FloatField(allow_null=True)
    median_days = serializers.FloatField(allow_null=True)
    p90_days = serializers.FloatField(allow_null=True)
    present = serializers.IntegerField(help_text="Records that are in the step now.")
    present_median_days = serializers.FloatField(allow_null=True)


class VelocitySerializer(RangeSerializer):
    """How long records stay in each step."""

    rows = VelocityStepSerializer(many=True)


class OutcomeAmountsSerializer(serializers.Serializer):
    won_value = amount()
    lost_value = amount()


class OutcomeFiguresSerializer(serializers.Serializer):
    won = serializers.IntegerField()
    lost = serializers.IntegerField()
    win_rate = serializers.FloatField(allow_null=True, help_text="Won of won and lost, 0 to 1.")
    by_currency = serializers.DictField(child=OutcomeAmountsSerializer())


class OutcomeRowSerializer(OutcomeFiguresSerializer):
    value = serializers.CharField(allow_blank=True)


class WinLossSerializer(RangeSerializer):
    """What was won and lost, by reason or source."""

    by = serializers.ChoiceField(choices=By.choices)
    rows = OutcomeRowSerializer(many=True)
    totals = OutcomeFiguresSerializer()


class OpenAmountsSerializer(serializers.Serializer):
    count = serializers.IntegerField(help_text="Records with an amount.")
    value = amount()
    weighted_value = amount()


class OpenFiguresSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    by_currency = serializers.DictField(child=OpenAmountsSerializer())


class OpenStepSerializer(OpenFiguresSerializer):
    step = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field; DRF takes it off


class AsOfSerializer(serializers.Serializer):
    """What was open at the end of a day."""

    entity = serializers.CharField()
    date = serializers.DateField()
    time_zone = serializers.CharField()
    rows = OpenStepSerializer(many=True)
    totals = OpenFiguresSerializer()


class PartAmountsSerializer(serializers.Serializer):
    value = amount()


class PartSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    by_currency = serializers.DictField(child=PartAmountsSerializer())


class MoveSerializer(PartSerializer):
    move = serializers.CharField()


class WaterfallSerializer(RangeSerializer):
    """What became of open amounts: `pipeline_start` and all rows make `pipeline_end`, in each currency."""

    pipeline_start = PartSerializer()
    rows = MoveSerializer(many=True)
    pipeline_end = PartSerializer()
    postponed = PartSerializer(help_text="Open at both, and expected later than before; part of no sum.")


class DaysSerializer(serializers.Serializer):
    start = serializers.DateField()
    end = serializers.DateField()
    time_zone = serializers.CharField()


class ExpectedAmountsSerializer(serializers.Serializer):
    """Each figure includes the ones before it: `commit` includes `won`, `best_case` includes both."""

    won = amount()
    commit = amount()
    best_case = amount()
    pipeline = amount()


class GoalAttainmentSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    metric = serializers.ChoiceField(choices=Goal.Metric.choices)
    currency = serializers.CharField(allow_blank=True)
    target = amount()
    attained = amount()
    share = serializers.FloatField(help_text="Of the target, 0 to 1 and beyond.")


class AttainmentRowSerializer(serializers.Serializer):
    """Of a user or of a team with those below it; of neither where records have no owner."""

    user = serializers.IntegerField(allow_null=True)
    team = serializers.IntegerField(allow_null=True)
    label = serializers.CharField()  # type: ignore[assignment]  # a field; DRF takes it off
    won_count = serializers.IntegerField()
    by_currency = serializers.DictField(child=ExpectedAmountsSerializer())
    goals = GoalAttainmentSerializer(many=True)


class AttainmentSerializer(RangeSerializer):
    """What is won and expected within a month or quarter, beside the goals."""

    period = serializers.ChoiceField(choices=Goal.Period.choices)
    rows = AttainmentRowSerializer(many=True)


class ActivityRowSerializer(serializers.Serializer):
    user = serializers.IntegerField(allow_null=True)
    label = serializers.CharField()  # type: ignore[assignment]  # a field; DRF takes it off
    total = serializers.IntegerField()
    records = serializers.IntegerField(help_text="On how many records.")
    call = serializers.IntegerField()
    email = serializers.IntegerField()
    meeting = serializers.IntegerField()
    note = serializers.IntegerField()


class ActivityReportSerializer(DaysSerializer):
    """What each user logged."""

    rows = ActivityRowSerializer(many=True)


class ResponseFiguresSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    answered = serializers.IntegerField(help_text="With an activity after their creation.")
    median_hours = serializers.FloatField(allow_null=True)
    p90_hours = serializers.FloatField(allow_null=True)
    within_1_hours = serializers.FloatField(allow_null=True, help_text="Of all, 0 to 1.")
    within_24_hours = serializers.FloatField(allow_null=True, help_text="Of all, 0 to 1.")


class ResponseRowSerializer(ResponseFiguresSerializer):
    user = serializers.IntegerField(allow_null=True)
    label = serializers.CharField()  # type: ignore[assignment]  # a field; DRF takes it off


class ResponseTimeSerializer(RangeSerializer):
    """How soon records had their first activity, by owner."""

    rows = ResponseRowSerializer(many=True)
    totals = ResponseFiguresSerializer()


class CohortRowSerializer(serializers.Serializer):
    month = serializers.DateField()
    count = serializers.IntegerField()
    won = serializers.ListField(
        child=serializers.IntegerField(), help_text="By the end of that month, of the next one, and so on."
    )
    won_share = serializers.ListField(child=serializers.FloatField())


class CohortSerializer(RangeSerializer):
    """What became of those made in the same month."""

    rows = CohortRowSerializer(many=True)
