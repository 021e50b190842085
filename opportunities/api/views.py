"""Opportunities, pipelines and stages over HTTP."""

from typing import Any

from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import listing
from core.api.parameters import date_parameter, whole_parameter
from core.api.resources import ResourceViewSet
from core.api.viewsets import EntityViewSet, record_id
from core.errors import NotVisibleError
from opportunities import operations
from opportunities.api.serializers import PipelineSerializer, StageSerializer
from opportunities.models import Opportunity, Pipeline, Stage
from opportunities.registration import OPPORTUNITY

FORECAST_MONTHS = 6


class OpportunityViewSet(EntityViewSet):
    """Opportunities: deals on their way through a pipeline."""

    entity = OPPORTUNITY

    @action(methods=["get"], detail=False)
    def pipeline(self, request: Request) -> Response:
        """One pipeline (`pipeline=`, else the default) by stage; takes the filters of the list."""
        named = operations.named_pipeline(whole_parameter(request, "pipeline"))
        rows = listing.listing(self.entity, request).rows
        return Response(operations.pipeline_figures(rows, named))

    @action(methods=["get"], detail=False)
    def forecast(self, request: Request) -> Response:
        """What is expected by month: `start` (a date, default today) and `months` (1 to 36, default 6)."""
        start = date_parameter(request, "start") or timezone.localdate()
        months = whole_parameter(request, "months", 1, 36) or FORECAST_MONTHS
        rows = listing.listing(self.entity, request, reserved=frozenset(("start", "months"))).rows
        return Response(operations.forecast_figures(rows, start, months))

    @action(methods=["get"], detail=True)
    def stages(self, request: Request, pk: str) -> Response:
        """The stages this deal went through, with the time spent in each."""
        record = self.entity.visible_to(request.user).filter(pk=record_id(pk)).first()
        if record is None:
            raise NotVisibleError("Not found.")
        return Response({"results": operations.stage_history(self.entity, record)})


class PipelineViewSet(ResourceViewSet):
    """Pipelines; a new one starts with the usual six stages."""

    model = Pipeline
    queryset = Pipeline.objects.prefetch_related("stages")
    serializer_class = PipelineSerializer
    filters = ("is_active", "is_default")


class StageViewSet(ResourceViewSet):
    """Stages of pipelines, in their order."""

    model = Stage
    queryset = Stage.objects.all()
    serializer_class = StageSerializer
    filters = ("pipeline", "key")

    def perform_destroy(self, instance: Any) -> None:
        in_use = Opportunity.objects.filter(pipeline=instance.pipeline_id, stage=instance.key)
        self.refuse_if(in_use.exists(), "Opportunities are in this stage; move them first.")
        super().perform_destroy(instance)
