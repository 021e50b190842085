"""Bodies and answers of lead scoring."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.api.bulk import IdsField
from core.api.strict import StrictFieldsMixin
from core.conditions import parse
from core.entities.field_types import Reference
from core.entities.field_types.text import checked_texts
from core.errors import refused_as
from core.lead_scoring.default_entity import DEFAULT_ENTITY
from core.lead_scoring.features import Kind
from core.lead_scoring.rules import MAX_POINTS, TESTS, RuleSet, parse_rules
from core.lead_scoring.scoring_target import scoring_targets, target_of

ACTIONS = ("score", "bulk_score", "retrain")
SELECTIONS = ("lead_ids", "ids", "filter", "all")


class ScoredEntityField(serializers.CharField):
    """The name of a scored entity: `lead` or `opportunity`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=40, help_text="`lead` or `opportunity`.", **options)

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if name not in scoring_targets:
            known = ", ".join(scoring_targets.keys())
            raise ValidationError(_("Expected one of: %(known)s.") % {"known": known}, code="invalid_choice")
        return name


class ScoringRequestSerializer(StrictFieldsMixin, serializers.Serializer):
    """`{"action": "score", "lead_id": 1}`, `{"action": "bulk_score", "lead_ids": […]}` (or `filter`, or
    `all`), `{"action": "retrain"}`."""

    action = serializers.ChoiceField(ACTIONS)
    entity = ScoredEntityField(default=DEFAULT_ENTITY)
    lead_id = Reference(required=False, help_text="For `score`.")
    lead_ids = IdsField(required=False, help_text="For `bulk_score`; of another entity, `ids`.")
    ids = IdsField(required=False)
    filter = serializers.JSONField(required=False, help_text="A condition in place of ids.")
    all = serializers.BooleanField(required=False, help_text="true: every record that you may change.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """An action comes with what it needs."""
        if attrs["action"] == "score" and attrs["entity"] != DEFAULT_ENTITY:
            raise ValidationError({"entity": _("One record is scored by this action for leads only.")})
        if attrs["action"] == "score" and attrs.get("lead_id") is None:
            raise ValidationError({"lead_id": _("This field is required.")}, code="required")
        if attrs["action"] == "bulk_score":
            attrs["selection"] = self._selection(attrs)
        return attrs

    def _selection(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        """Which leads a bulk request names: exactly one of ids, filter, all."""
        given = [name for name in SELECTIONS if name in attrs]
        if len(given) != 1:
            raise ValidationError(
                {"lead_ids": _('Give one of "lead_ids", "filter", "all".')}, code="required"
            )
        if given[0] in ("lead_ids", "ids"):
            return {"ids": attrs[given[0]]}
        if given == ["all"]:
            if not attrs["all"]:
                raise ValidationError({"all": _("Expected true.")}, code="invalid")
            return {}
        if not attrs["filter"]:
            message = _('An empty filter would name every record: give "all".')
            raise ValidationError({"filter": message}, code="blank")
        user = self.context["request"].user
        about = target_of(attrs["entity"]).definition.for_user(user)
        parse(about, attrs["filter"], name="filter")
        return {"filter": attrs["filter"]}


class FactorSerializer(serializers.Serializer):
    """One reason of a score."""

    factor = serializers.CharField(help_text="The feature's key.")
    importance = serializers.FloatField(help_text="Its share of all points, 0 to 1.")
    points = serializers.IntegerField(help_text="With `base`, the points of all factors add up to the score.")
    label = serializers.CharField()  # type: ignore[assignment]  # a field; DRF takes it off
    value = serializers.CharField()
    text = serializers.CharField(help_text="As people read it: `Source: referral +12`.")


class ScoreSerializer(serializers.Serializer):
    """A score, its reasons, and what made it."""

    score = serializers.IntegerField(min_value=0, max_value=100)
    probability = serializers.FloatField(min_value=0, max_value=1)
    factors = FactorSerializer(many=True)
    base = serializers.IntegerField()
    model_version = serializers.IntegerField(allow_null=True)
    rules_version = serializers.IntegerField(allow_null=True)
    rule_share = serializers.FloatField()
    model_share = serializers.FloatField()
    warning = serializers.CharField(help_text="Why the active model could not be used, if so.")
    scored_at = serializers.DateTimeField(required=False, help_text="Of a stored score.")


class LeadScoreSerializer(ScoreSerializer):
    success = serializers.BooleanField()
    lead_id = serializers.IntegerField()


class StartedJobSerializer(serializers.Serializer):
    success = serializers.BooleanField()
    task_id = serializers.UUIDField()
    job = serializers.URLField(help_text="Where the job can be followed.")


@extend_schema_serializer(many=False)
class ScoringStatisticsSerializer(serializers.Serializer):
    """How the leads that you see are scored: from 71 on high, from 31 on medium."""

    total_leads = serializers.IntegerField()
    high_score = serializers.IntegerField()
    medium_score = serializers.IntegerField()
    low_score = serializers.IntegerField()
    average_score = serializers.FloatField()


class ScoringMetricsSerializer(serializers.Serializer):
    """How good probabilities were on leads that the model did not learn from."""

    auc = serializers.FloatField(required=False)
    pr_auc = serializers.FloatField(required=False)
    log_loss = serializers.FloatField(required=False)
    brier = serializers.FloatField(required=False)
    ece = serializers.FloatField(required=False, help_text="Expected calibration error.")
    lift_10 = serializers.FloatField(required=False)


class VerdictSerializer(serializers.Serializer):
    """Whether the model may go live, and the comparison that decided it; of an imported model `reason`."""

    passed = serializers.BooleanField(required=False)
    reason = serializers.CharField()
    suspicion = serializers.CharField(required=False)
    against = serializers.CharField(required=False)
    difference = serializers.FloatField(required=False, help_text="Log loss of the other less the model's.")
    low = serializers.FloatField(required=False)
    high = serializers.FloatField(required=False)
    n = serializers.IntegerField(required=False)
    champion_ece = serializers.FloatField(required=False)
    challenger_ece = serializers.FloatField(required=False)


class HeldOutSerializer(serializers.Serializer):
    leads = serializers.IntegerField()
    wins = serializers.IntegerField()


class ReliabilitySerializer(serializers.Serializer):
    n = serializers.IntegerField()
    predicted = serializers.FloatField()
    observed = serializers.FloatField()


class LiftSerializer(serializers.Serializer):
    share = serializers.FloatField(help_text="Of the leads, those with the highest scores.")
    wins = serializers.FloatField(help_text="The share of all wins among them.")


class BandSerializer(serializers.Serializer):
    leads = serializers.IntegerField()
    won = serializers.FloatField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        bounds = {name: serializers.IntegerField() for name in ("from", "to")}
        return bounds | super().get_fields()


class ImportanceSerializer(serializers.Serializer):
    factor = serializers.CharField()
    log_loss = serializers.FloatField(
        help_text="How much the log loss rises when the feature's values are shuffled."
    )
    points = serializers.FloatField()


class SegmentSerializer(serializers.Serializer):
    feature = serializers.CharField()
    value = serializers.CharField()
    leads = serializers.IntegerField()
    predicted = serializers.FloatField()
    observed = serializers.FloatField()


class SuspectSerializer(serializers.Serializer):
    auc = serializers.FloatField()
    written_after_closing = serializers.IntegerField()
    written = serializers.IntegerField()
    evidence = serializers.CharField()


class DriftOfInputSerializer(serializers.Serializer):
    feature = serializers.CharField()
    value = serializers.CharField(allow_null=True, help_text="Of a multiple choice.")
    psi = serializers.FloatField(
        help_text="Population stability index; above 0.25 the population has changed."
    )


class CalibrationSerializer(serializers.Serializer):
    n = serializers.IntegerField()
    predicted = serializers.FloatField(required=False)
    observed = serializers.FloatField(required=False)
    ece = serializers.FloatField(required=False)
    log_loss = serializers.FloatField(required=False)


class DriftSerializer(serializers.Serializer):
    """Drift: whether inputs and outcomes are still like those the active model was trained on."""

    model_version = serializers.IntegerField(allow_null=True)
    leads = serializers.IntegerField()
    inputs = DriftOfInputSerializer(many=True)
    scores = serializers.FloatField(allow_null=True)
    calibration = CalibrationSerializer()
    warnings = serializers.ListField(child=serializers.CharField())


class RolledBackSerializer(serializers.Serializer):
    success = serializers.BooleanField()
    active = serializers.IntegerField(allow_null=True, help_text="Null: the rules score.")


class FeatureSerializer(serializers.Serializer):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field; DRF takes it off
    kind = serializers.ChoiceField([kind.value for kind in Kind])


class RuleSerializer(serializers.Serializer):
    """`points` for the leads whose `feature` passes `test` with `value`."""

    key = serializers.CharField(required=False, max_length=80)
    feature = serializers.CharField()
    test = serializers.ChoiceField(TESTS)
    value = serializers.JSONField(help_text="A list of texts for `in`, true or false, or a number.")
    points = serializers.IntegerField(min_value=-MAX_POINTS, max_value=MAX_POINTS)
    label = serializers.CharField(required=False, max_length=120)  # type: ignore[assignment]  # a field; DRF takes it off


class RuleSetSerializer(serializers.Serializer):
    """A set of scoring rules."""

    base = serializers.IntegerField(min_value=0, max_value=100, default=50)
    rules = RuleSerializer(many=True)
    version = serializers.IntegerField(read_only=True, allow_null=True)
    features = FeatureSerializer(many=True, read_only=True)

    def to_internal_value(self, data: Any) -> RuleSet:
        """What is only shown may come back as it was read. Raises InvalidError naming all that is wrong."""
        shown = {name for name, field in self.fields.items() if field.read_only}
        if isinstance(data, Mapping):
            data = {name: value for name, value in data.items() if name not in shown}
        with refused_as("rules"):
            checked_texts(data)
        return parse_rules(data, {key: feature.spec for key, feature in target_of().all_features().items()})

    def run_validation(self, data: Any = None) -> RuleSet:
        return self.to_internal_value(data)


class ScoreBandSerializer(serializers.Serializer):
    name = serializers.ChoiceField(("high", "medium", "low"))
    before = serializers.IntegerField()
    after = serializers.IntegerField()


class ScoreBarSerializer(serializers.Serializer):
    lowest = serializers.IntegerField()
    highest = serializers.IntegerField()
    before = serializers.IntegerField()
    after = serializers.IntegerField()


class MovedLeadSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    before = serializers.IntegerField()
    after = serializers.IntegerField()


class RuleEffectSerializer(serializers.Serializer):
    """How scores would move, of the open leads that were looked at."""

    leads = serializers.IntegerField(help_text="How many were looked at.")
    is_sample = serializers.BooleanField(help_text="There are more: these are the newest ones.")
    up = serializers.IntegerField()
    down = serializers.IntegerField()
    becoming_hot = serializers.IntegerField(help_text="From below 71 to 71 or more.")
    no_longer_hot = serializers.IntegerField()
    average_before = serializers.FloatField()
    average_after = serializers.FloatField()
    bands = ScoreBandSerializer(many=True)
    histogram = ScoreBarSerializer(many=True)
    examples = MovedLeadSerializer(many=True, help_text="Those that move most.")
