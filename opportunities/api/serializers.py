"""Pipelines and stages as JSON."""

from typing import Any

from core.api.resources import StrictSerializer
from opportunities.models import Pipeline, Stage
from opportunities.operations import set_default
from opportunities.stages import default_stages

STAGE_FIELDS = ["id", "key", "name", "position", "probability", "is_won", "is_lost", "rotting_days"]


class StageSerializer(StrictSerializer):
    class Meta:
        model = Stage
        fields = ["pipeline", *STAGE_FIELDS]


class NestedStageSerializer(StrictSerializer):
    class Meta:
        model = Stage
        fields = STAGE_FIELDS


class PipelineSerializer(StrictSerializer):
    stages = NestedStageSerializer(many=True, read_only=True)

    class Meta:
        model = Pipeline
        fields = ["id", "name", "is_default", "is_active", "stages", "created_at"]
        # "One default" would refuse another one; `save` takes the mark from the present one instead.
        extra_kwargs = {"is_default": {"validators": []}}

    def save(self, **kwargs: Any) -> Pipeline:
        if self.validated_data.get("is_default"):
            set_default(self.instance)
        return super().save(**kwargs)

    def create(self, validated_data: dict[str, Any]) -> Pipeline:
        pipeline = super().create(validated_data)
        Stage.objects.bulk_create(default_stages(pipeline))
        return pipeline
