"""Lead scoring over HTTP, as the feature guide has it: `/api/v1/scoring/`."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Avg, Count, Q
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, ReadAllPolicy, role_allows, scopes
from core.api.parameters import record_id
from core.api.viewsets import CrmViewSet
from core.conditions import parse, resources_behind
from core.errors import ForbiddenError, NotVisibleError
from core.lead_scoring import jobs
from core.lead_scoring.answers import score_one, shown_to, stored_reasons
from core.lead_scoring.api.serializers import (
    LeadScoreSerializer,
    ScoringRequestSerializer,
    ScoringStatisticsSerializer,
    StartedJobSerializer,
)
from core.lead_scoring.models import ScoringJob
from core.lead_scoring.rule_effect import HIGH, LOW
from core.lead_scoring.scoring_target import target_of

EXAMPLES = [
    OpenApiExample("One lead", {"action": "score", "lead_id": 123}, request_only=True),
    OpenApiExample("Many", {"action": "bulk_score", "lead_ids": [123, 124, 125]}, request_only=True),
    OpenApiExample("Retrain", {"action": "retrain"}, request_only=True),
]


class ScoringViewSet(CrmViewSet):
    """Scores of the leads you see, and having them made anew."""

    policy = ReadAllPolicy(write=Permission.CHANGE)
    writes_in_transaction = False  # one lead is read, and written only when its score moved

    @extend_schema(
        operation_id="scoring_statistics", tags=["scoring"], responses={200: ScoringStatisticsSerializer}
    )
    def list(self, request: Request) -> Response:
        """How the leads you see are scored."""
        rows = target_of().definition.visible_to(request.user).filter(archived_at=None).order_by()
        found = rows.aggregate(
            total_leads=Count("pk"),
            high_score=Count("pk", filter=Q(lead_score__gte=HIGH)),
            medium_score=Count("pk", filter=Q(lead_score__gte=LOW, lead_score__lt=HIGH)),
            low_score=Count("pk", filter=Q(lead_score__lt=LOW)),
            average_score=Avg("lead_score"),
        )
        return Response(found | {"average_score": round(float(found["average_score"] or 0), 2)})

    @extend_schema(operation_id="scoring_reasons", tags=["scoring"], responses={200: LeadScoreSerializer})
    def retrieve(self, request: Request, pk: str) -> Response:
        """Read a lead's score and its reasons."""
        lead = record_id(pk)
        scopes.require(request.user, target_of().definition.plural)
        if not target_of().definition.visible_to(request.user).filter(pk=lead).exists():
            raise NotVisibleError(_("Not found."))
        shown = shown_to(request.user, stored_reasons(lead), target_of())
        return Response({"success": True, "lead_id": lead} | shown)

    @extend_schema(
        operation_id="scoring_run",
        tags=["scoring"],
        request=ScoringRequestSerializer,
        responses={200: LeadScoreSerializer, 202: StartedJobSerializer},
        examples=EXAMPLES,
    )
    def create(self, request: Request) -> Response:
        """Score one lead at once, many in the background, or retrain the model (administrators). With
        `entity: opportunity` the same is done for deals."""
        given = {} if request.data is None else request.data
        body = ScoringRequestSerializer(data=given, context={"request": request})
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        if asked["action"] == "score":
            return Response(score_one(asked["lead_id"], request.user))
        job = self._start(request, asked)
        return Response({"success": True, "task_id": str(job.task_id), "job": _address(request, job)}, 202)

    def _start(self, request: Request, asked: Mapping[str, Any]) -> ScoringJob:
        if asked["action"] == "bulk_score":
            self._require_scopes(request, asked)
            return jobs.start(ScoringJob.Kind.BULK, request.user, asked["selection"], entity=asked["entity"])
        if not role_allows(request.user, Permission.CONFIGURE):
            raise ForbiddenError(_("Only administrators retrain the model."))
        return jobs.start(ScoringJob.Kind.RETRAIN, request.user, entity=asked["entity"])

    @staticmethod
    def _require_scopes(request: Request, asked: Mapping[str, Any]) -> None:
        """The job runs without the key: it counts only what the key may read."""
        about = target_of(asked["entity"]).definition
        scopes.require(request.user, about.plural)
        if given := asked["selection"].get("filter"):
            behind = resources_behind(parse(about.for_user(request.user), given, name="filter"))
            scopes.require(request.user, *sorted(behind))


def _address(request: Request, job: ScoringJob) -> str:
    return request.build_absolute_uri(f"/api/v1/scoring/jobs/{job.task_id}/")
