"""Opportunities, pipelines and stages as JSON."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.api.resources import StrictSerializer
from core.api.serializers import CountsField, EntitySerializer, StatisticsSerializer
from core.currencies.api.serializers import NamedRateSerializer
from core.entities.field_types import Boolean, Money
from core.entities.references import referable
from core.lead_scoring.api.serializers import FactorSerializer
from opportunities.entity import OPPORTUNITY
from opportunities.models import ContactRole, LostReason, OpportunityContact, Pipeline, Stage
from opportunities.operations import unset_default
from opportunities.querysets import WEIGHTS
from opportunities.stages import (
    STAGES_AT_MOST,
    certain_if_closed,
    check_stages,
    default_stages,
    key_of,
    keyed,
)

STAGE_FIELDS = ["id", "key", "name", "position", "probability", "is_won", "is_lost", "rotting_days"]
KEY_DERIVED = {"key": {"required": False, "help_text": "Derived from the name where it is not given."}}


class OpportunitySerializer(EntitySerializer):
    """An opportunity."""

    class Meta:
        entity = OPPORTUNITY


class ContactReferenceField(serializers.PrimaryKeyRelatedField):
    """The id of a contact that whoever asks sees."""

    def get_queryset(self) -> Any:
        return referable("contact", self.context["request"].user)


class OpportunityContactSerializer(StrictSerializer):
    """A contact of a deal: its role, and whether it is the primary one, which is the deal's `contact`."""

    contact = ContactReferenceField()
    name = serializers.CharField(source="contact", read_only=True)
    is_primary = Boolean(required=False)

    class Meta:
        model = OpportunityContact
        fields = ["contact", "name", "role", "role_text", "is_primary"]
        extra_kwargs = {"role_text": {"help_text": "Which role, where it is `other`."}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        self.asked_primary = attrs.pop("is_primary", None)
        if self.instance is not None:
            self._check_change(attrs)
        if attrs.get("role", ContactRole.OTHER) != ContactRole.OTHER:
            attrs.setdefault("role_text", "")
        return super().validate(attrs)

    def _check_change(self, attrs: dict[str, Any]) -> None:
        contact = attrs.pop("contact", self.instance.contact)
        if contact != self.instance.contact:
            raise ValidationError({"contact": _("Add the other contact instead.")}, code="read_only")
        if self.instance.is_primary and self.asked_primary is False:
            message = _("Make another contact the primary one instead.")
            raise ValidationError({"is_primary": message}, code="required")


class OpportunityContactsSerializer(serializers.Serializer):
    """The contacts of a deal that you see, the primary one first; there are `hidden` others."""

    results = OpportunityContactSerializer(many=True)
    hidden = serializers.IntegerField()


class AmountsSerializer(serializers.Serializer):
    """Of one currency: the sums of open deals (plain, weighted) and of won ones, and the mean of all."""

    total_value = Money(decimal_places=4)
    total_weighted_value = Money(decimal_places=4)
    won_value = Money(decimal_places=4)
    average_amount = Money(decimal_places=4)


class CurrencyAmountsSerializer(AmountsSerializer):
    """The same for each currency, of `count` deals with an amount."""

    count = serializers.IntegerField()


class ConvertedSerializer(serializers.Serializer):
    """A total in the currency asked for, of `count` deals with an amount; those without a rate are in
    `without_rate` alone, by their currency."""

    currency = serializers.CharField()
    count = serializers.IntegerField()


class UsedRatesSerializer(serializers.Serializer):
    """The rates used, the newest first: at most 500 of them all."""

    rates = NamedRateSerializer(many=True)
    rates_count = serializers.IntegerField()


class ConvertedAmountsSerializer(UsedRatesSerializer, ConvertedSerializer, AmountsSerializer):
    without_rate = serializers.DictField(child=CurrencyAmountsSerializer())


class OpportunityStatisticsSerializer(AmountsSerializer, StatisticsSerializer):
    """Totals of deals; `win_rate` is the share of won deals among closed ones, 0 to 1."""

    open = serializers.IntegerField()
    won = serializers.IntegerField()
    lost = serializers.IntegerField()
    win_rate = serializers.FloatField()
    currency = serializers.CharField()
    mixed_currencies = serializers.BooleanField()
    by_currency = serializers.DictField(child=CurrencyAmountsSerializer())
    converted = ConvertedAmountsSerializer(allow_null=True)
    by_status = CountsField()
    by_stage = CountsField()


class InCurrencySerializer(serializers.Serializer):
    """The currency of these figures; other currencies are only in `by_currency`."""

    currency = serializers.CharField()
    mixed_currencies = serializers.BooleanField()


class BoardSumsSerializer(serializers.Serializer):
    """What a stage holds in one currency."""

    count = serializers.IntegerField()
    total_value = Money(decimal_places=4)
    total_weighted_value = Money(decimal_places=4)


class ConvertedStageSerializer(ConvertedSerializer, BoardSumsSerializer):
    without_rate = serializers.DictField(child=BoardSumsSerializer())


class ConvertedBoardSerializer(UsedRatesSerializer, ConvertedStageSerializer):
    """The total of what is open."""


class BoardFiguresSerializer(InCurrencySerializer, BoardSumsSerializer):
    by_currency = serializers.DictField(child=BoardSumsSerializer())


class BoardColumnSerializer(BoardFiguresSerializer):
    """A stage and its open deals."""

    name = serializers.CharField()
    position = serializers.IntegerField()
    probability = serializers.IntegerField()
    is_won = serializers.BooleanField()
    is_lost = serializers.BooleanField()
    converted = ConvertedStageSerializer(allow_null=True)
    average_age_days = serializers.FloatField(allow_null=True)


class BoardPipelineSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class BoardSerializer(BoardFiguresSerializer):
    """A pipeline by stage (its key), and the totals of what is open."""

    pipeline = BoardPipelineSerializer()
    by_stage = serializers.DictField(child=BoardColumnSerializer())
    converted = ConvertedBoardSerializer(allow_null=True)


class ForecastSumsSerializer(serializers.Serializer):
    """What is expected; `commit` and `best_case` include what is won."""

    won = Money(decimal_places=4)
    commit = Money(decimal_places=4)
    best_case = Money(decimal_places=4)
    pipeline = Money(decimal_places=4)
    weighted = Money(decimal_places=4)


class ForecastOfCurrencySerializer(ForecastSumsSerializer):
    count = serializers.IntegerField()


class ConvertedMonthSerializer(ConvertedSerializer, ForecastSumsSerializer):
    without_rate = serializers.DictField(child=ForecastOfCurrencySerializer())


class ConvertedForecastSerializer(UsedRatesSerializer, ConvertedMonthSerializer):
    """The total of all months."""


class ForecastMonthSerializer(InCurrencySerializer, ForecastOfCurrencySerializer):
    month = serializers.CharField(help_text="As 2030-01.")
    by_currency = serializers.DictField(child=ForecastOfCurrencySerializer())
    converted = ConvertedMonthSerializer(allow_null=True)


class ForecastSerializer(InCurrencySerializer):
    """What is expected by month, and in all of them together."""

    weights = serializers.ChoiceField(choices=WEIGHTS, help_text="What open deals are weighed by.")
    months = ForecastMonthSerializer(many=True)
    totals = ForecastSumsSerializer()
    by_currency = serializers.DictField(child=ForecastOfCurrencySerializer())
    converted = ConvertedForecastSerializer(allow_null=True)


class StayInStageSerializer(serializers.Serializer):
    """A deal's time in one stage; the present stage has no end yet."""

    stage = serializers.CharField()
    entered_at = serializers.DateTimeField()
    left_at = serializers.DateTimeField(allow_null=True)
    days = serializers.FloatField(allow_null=True)
    moved_by = serializers.IntegerField(allow_null=True)


class StageHistorySerializer(serializers.Serializer):
    """The stages a deal went through, oldest first."""

    results = StayInStageSerializer(many=True)


class StageSerializer(StrictSerializer):
    class Meta:
        model = Stage
        fields = ["pipeline", *STAGE_FIELDS]
        extra_kwargs = KEY_DERIVED

    def to_internal_value(self, data: Any) -> Any:
        """What follows from the rest where it is not given: a new stage's key, a closed one's probability."""
        if isinstance(data, Mapping):
            data = certain_if_closed(data)
            if self.instance is None and isinstance(data.get("name"), str) and not data.get("key"):
                data = {**data, "key": key_of(data["name"])}
        return super().to_internal_value(data)


class NestedStageSerializer(StageSerializer):
    class Meta:
        model = Stage
        fields = STAGE_FIELDS
        extra_kwargs = KEY_DERIVED


class LostReasonSerializer(StrictSerializer):
    class Meta:
        model = LostReason
        fields = ["id", "pipeline", "key", "name", "position", "is_active"]
        extra_kwargs = {
            **KEY_DERIVED,
            "pipeline": {
                "required": False,
                "help_text": "The pipeline that it belongs to; empty for all pipelines.",
            },
        }
        # The database refuses a second one, as a conflict.
        validators: tuple[()] = ()

    def to_internal_value(self, data: Any) -> Any:
        """A new reason's key follows from its name where it is not given."""
        if self.instance is None and isinstance(data, Mapping) and not data.get("key"):
            name = data.get("name")
            data = {**data, "key": key_of(name, "reason")} if isinstance(name, str) else data
        return super().to_internal_value(data)


class PipelineSerializer(StrictSerializer):
    stages: Any = serializers.ListSerializer(
        child=NestedStageSerializer(), required=False, max_length=STAGES_AT_MOST
    )

    class Meta:
        model = Pipeline
        fields = ["id", "name", "is_default", "is_active", "stages", "created_at"]
        # "One default" would refuse another one; `save` takes the mark from the present one instead.
        extra_kwargs: dict[str, Any] = {"is_default": {"validators": []}}

    def to_internal_value(self, data: Any) -> Any:
        """Stages come with a new pipeline; those of a stored one have an address of their own."""
        if self.instance is not None and isinstance(data, Mapping):
            data = {name: value for name, value in data.items() if name != "stages"}
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        stages = attrs.pop("stages", None)
        found = super().validate(attrs)
        if stages is None:
            return found
        made = keyed([Stage(**{"position": place, **values}) for place, values in enumerate(stages)])
        if message := check_stages(made):
            raise ValidationError({"stages": [message]})
        return {**found, "stages": made}

    def save(self, **kwargs: Any) -> Pipeline:
        if self.validated_data.get("is_default"):
            unset_default(other_than=self.instance)
        return super().save(**kwargs)

    def create(self, validated_data: dict[str, Any]) -> Pipeline:
        stages = validated_data.pop("stages", None)
        pipeline = super().create(validated_data)
        for stage in stages or ():
            stage.pipeline = pipeline
        Stage.objects.bulk_create(stages or default_stages(pipeline))
        return pipeline


class WinProbabilitySerializer(serializers.Serializer):
    """How likely a deal is won. Without a model, and for a closed deal that was never scored, there is only
    the probability of its stage."""

    opportunity_id = serializers.IntegerField()
    stage_probability = serializers.IntegerField(allow_null=True, help_text="Percent.")
    probability = serializers.FloatField(allow_null=True, min_value=0, max_value=1)
    score = serializers.IntegerField(allow_null=True, min_value=0, max_value=100)
    base = serializers.IntegerField(required=False)
    factors = FactorSerializer(many=True)
    model_version = serializers.IntegerField(allow_null=True)
    warning = serializers.CharField()
    scored_at = serializers.DateTimeField(required=False)


class WeightLossSerializer(serializers.Serializer):
    log_loss = serializers.FloatField()


class WeightSerializer(WeightLossSerializer):
    money_error = serializers.DictField(
        child=serializers.FloatField(),
        help_text="By currency: what forecasts of the blocks missed, as a share of what was won.",
    )


class BlockForecastSerializer(serializers.Serializer):
    won = serializers.FloatField()
    stage = serializers.FloatField()
    model = serializers.FloatField()


class BlockSerializer(serializers.Serializer):
    deals = serializers.IntegerField()
    won = serializers.IntegerField()
    stage = WeightLossSerializer()
    model = WeightLossSerializer()
    money = serializers.DictField(child=BlockForecastSerializer(), help_text="By currency.")


class ForecastBacktestSerializer(serializers.Serializer):
    """Five blocks of closed deals in the order of their creation, each weighed by the stage's probability and
    by a model of the deals before it."""

    model_version = serializers.IntegerField(allow_null=True)
    stage = WeightSerializer(required=False)
    model = WeightSerializer(required=False)
    blocks = BlockSerializer(many=True)
