"""Models, jobs and rules of lead scoring over HTTP."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, scopes
from core.api import preconditions
from core.api.bodies import takes_no_body
from core.api.resources import ReadOnlyResourceViewSet, ResourceViewSet, StrictSerializer
from core.api.viewsets import CrmViewSet
from core.errors import InvalidError, NotVisibleError
from core.lead_scoring import drift_check, jobs, model_lifecycle
from core.lead_scoring.api.serializers import (
    BandSerializer,
    DriftSerializer,
    HeldOutSerializer,
    ImportanceSerializer,
    LiftSerializer,
    ReliabilitySerializer,
    RolledBackSerializer,
    RuleEffectSerializer,
    RuleSetSerializer,
    ScoredEntityField,
    ScoringMetricsSerializer,
    SegmentSerializer,
    SuspectSerializer,
    VerdictSerializer,
)
from core.lead_scoring.default_entity import DEFAULT_ENTITY
from core.lead_scoring.models import BarredFeature, ScoringJob, ScoringModel, ScoringRules
from core.lead_scoring.rule_editing import replace_rules
from core.lead_scoring.rule_effect import effect_of
from core.lead_scoring.rule_store import newest_rules, rules_of
from core.lead_scoring.scoring_target import ScoringTarget, target_of

ENTITY = OpenApiParameter("entity", str, description="`lead` (the default) or `opportunity`.")


class ScoringModelSerializer(serializers.ModelSerializer):
    metrics = serializers.SerializerMethodField()
    features = serializers.SerializerMethodField()
    versions = serializers.SerializerMethodField()
    verdict = VerdictSerializer(read_only=True)

    class Meta:
        model = ScoringModel
        fields = [
            "id", "entity", "status", "hash", "leads", "wins", "window_start", "window_end", "metrics",
            "features", "versions", "verdict", "trained_by", "created_at", "activated_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(ScoringMetricsSerializer)
    def get_metrics(self, row: ScoringModel) -> dict[str, Any]:
        return row.card.get("metrics", {})

    def get_features(self, row: ScoringModel) -> list[str]:
        return list(dict.fromkeys(one["feature"] for one in row.artefact.get("inputs", [])))

    def get_versions(self, row: ScoringModel) -> dict[str, str]:
        return row.artefact.get("about", {}).get("versions", {})


class ModelCardSerializer(serializers.Serializer):
    """How good a model is on leads that it was not trained on, and what it uses. An imported model has only
    `model`."""

    model = ScoringModelSerializer()
    held_out = HeldOutSerializer(required=False)
    metrics = ScoringMetricsSerializer(required=False)
    incumbent_metrics = ScoringMetricsSerializer(required=False)
    reliability = ReliabilitySerializer(many=True, required=False)
    lift = LiftSerializer(many=True, required=False)
    bands = BandSerializer(many=True, required=False)
    importance = ImportanceSerializer(many=True, required=False)
    segments = SegmentSerializer(many=True, required=False)
    dropped = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="Features left out, and why."
    )
    suspects = serializers.DictField(child=SuspectSerializer(), required=False)
    outcomes = serializers.IntegerField(required=False, help_text="How many outcomes were known.")


class ScoringModelViewSet(ReadOnlyResourceViewSet):
    """Every model that was trained: what it learned from, how good it is, and which one scores."""

    model = ScoringModel
    queryset = ScoringModel.objects.all()
    serializer_class = ScoringModelSerializer
    filterset_fields = ("status", "entity")
    ordering_fields = ("created_at", "activated_at", "id")
    action_permissions = dict.fromkeys(("activate", "rollback"), Permission.CONFIGURE)
    allowed_query_params = {"list": None, "drift": ("entity",), "rollback": ("entity",)}

    @extend_schema(responses={200: ModelCardSerializer})
    @action(methods=["get"], detail=True)
    def card(self, request: Request, pk: str) -> Response:
        """The model card: metrics on leads it never saw, calibration, lift, importance, segments."""
        row = self.get_object()
        return Response({"model": self.get_serializer(row).data, **row.card})

    @extend_schema(responses={200: DriftSerializer}, parameters=[ENTITY])
    @action(methods=["get"], detail=False)
    def drift(self, request: Request) -> Response:
        """Drift: whether inputs and outcomes are still like those the active model was trained on."""
        return Response(drift_check.report(_target(request)))

    @extend_schema(request=None)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def activate(self, request: Request, pk: str) -> Response:
        """Activate this model, even a rejected one, and score all records of its entity with it."""
        row = self.get_object()
        model_lifecycle.activate(row)
        jobs.start(ScoringJob.Kind.BULK, entity=row.entity)
        return Response(self.get_serializer(row).data)

    @extend_schema(request=None, responses={200: RolledBackSerializer}, parameters=[ENTITY])
    @action(methods=["post"], detail=False)
    @takes_no_body
    def rollback(self, request: Request) -> Response:
        """Activate the previous model again, or the rules if there was none."""
        target = _target(request)
        row = model_lifecycle.roll_back(target)
        jobs.start(ScoringJob.Kind.BULK, entity=target.entity)
        return Response({"success": True, "active": row.pk if row else None})


def _target(request: Request) -> ScoringTarget:
    """The scored entity that `?entity=` names; leads without it. Raises ValidationError."""
    field = ScoredEntityField()
    try:
        return target_of(field.run_validation(request.query_params.get("entity", DEFAULT_ENTITY)))
    except serializers.ValidationError as error:
        raise serializers.ValidationError({"entity": error.detail}) from error


class BarredFeatureSerializer(StrictSerializer):
    entity = ScoredEntityField(default=DEFAULT_ENTITY)

    class Meta:
        model = BarredFeature
        fields = ["id", "entity", "feature", "reason", "barred_by", "created_at"]
        read_only_fields = ["barred_by", "created_at"]

    def check(self, wanted: BarredFeature) -> None:
        """Raises InvalidError for a feature that the entity does not have."""
        if wanted.feature not in target_of(wanted.entity).all_features():
            raise InvalidError.of("feature", _("Unknown feature."), "unknown_feature")


class BarredFeatureViewSet(ResourceViewSet):
    """Features that are excluded from training. Excluding one, or including it again, trains a new model."""

    model = BarredFeature
    queryset = BarredFeature.objects.all()
    serializer_class = BarredFeatureSerializer
    filterset_fields = ("entity", "feature")
    http_method_names = ["get", "post", "delete", "head", "options"]
    ordering_fields = ("feature", "created_at", "id")

    def perform_create(self, serializer: Any) -> None:
        row = self.saved(serializer, barred_by=self.request.user)
        jobs.start(ScoringJob.Kind.RETRAIN, entity=row.entity)

    def perform_destroy(self, instance: BarredFeature) -> None:
        super().perform_destroy(instance)
        jobs.start(ScoringJob.Kind.RETRAIN, entity=instance.entity)


class ScoringJobSerializer(serializers.ModelSerializer):
    class Meta:
        model = ScoringJob
        fields = [
            "task_id", "kind", "entity", "status", "total", "done", "message", "result", "requested_by",
            "created_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class ScoringJobViewSet(ReadOnlyResourceViewSet):
    """Jobs of bulk scoring and retraining, by their `task_id`."""

    model = ScoringJob
    queryset = ScoringJob.objects.all()
    serializer_class = ScoringJobSerializer
    filterset_fields = ("kind", "status", "entity")
    ordering_fields = ("created_at", "finished_at")
    lookup_value_regex = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

    def get_object(self) -> Any:
        found = self.get_queryset().filter(task_id=self.kwargs["pk"]).first()
        if found is None:
            raise NotVisibleError(_("Not found."))
        return found


class ScoringRulesViewSet(CrmViewSet):
    """The rule set: GET the present version, PUT a new one (administrators)."""

    policy = ScoringRules.policy
    action_permissions = {"preview": Permission.CONFIGURE}

    @extend_schema(operation_id="scoring_rules", tags=["scoring"], responses={200: RuleSetSerializer})
    @action(methods=["get"], detail=False)
    def rules(self, request: Request) -> Response:
        """Read the present rules, their version, and the features that rules may use."""
        return self._shown()

    @extend_schema(
        operation_id="scoring_rules_replace",
        tags=["scoring"],
        request=RuleSetSerializer,
        responses={200: RuleSetSerializer},
        parameters=[
            OpenApiParameter(
                "If-Match",
                str,
                OpenApiParameter.HEADER,
                description="The `ETag` of the rules you read. If they changed since, the answer is a 412.",
            )
        ],
    )
    @rules.mapping.put
    def replace(self, request: Request) -> Response:
        """Replace the rules. They apply at once, alone or beside a model; all leads are scored again."""
        body = RuleSetSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        replace_rules(
            body.validated_data,
            request.user,
            lambda version: preconditions.check_tag(request, lambda: rules_tag(version)),
        )
        return self._shown()

    @extend_schema(
        operation_id="scoring_rules_preview",
        tags=["scoring"],
        request=RuleSetSerializer,
        responses={200: RuleEffectSerializer},
    )
    @action(methods=["post"], detail=False, url_path="rules/preview")
    def preview(self, request: Request) -> Response:
        """What these rules would do to the scores of the open leads you see, the newest 5,000 of them.
        Nothing is stored."""
        scopes.require(request.user, target_of().definition.plural)
        body = RuleSetSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(RuleEffectSerializer(effect_of(body.validated_data, request.user)).data)

    def _shown(self) -> Response:
        """The newest rule set with its version and what rules can be made of."""
        target = target_of()
        version = newest_rules(target)
        features = [vars(feature.spec) for feature in target.all_features().values()]
        found = {"version": version, **rules_of(target, version).to_json(), "features": features}
        return Response(found, headers={"ETag": rules_tag(version)})


def rules_tag(version: int | None) -> str:
    """The entity tag of a version of the rules, which never changes."""
    return preconditions.tag_of(["scoring rules", version])
