"""Lead scoring over HTTP, as the feature guide has it: `/api/v1/scoring/`."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Avg, Count, Q
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, ReadAllPolicy, role_allows, scopes
from core.api.bodies import body_of
from core.api.bulk import ids_in
from core.api.parameters import record_id
from core.api.schema.parts import FLAG, ID, TEXT, array_of, nullable, object_of
from core.api.viewsets import CrmViewSet
from core.conditions import parse
from core.entities import field_types
from core.errors import ForbiddenError, InvalidError, NotVisibleError, ValueRefusedError, refused_as
from core.lead_scoring import jobs
from core.lead_scoring.answers import score_one, stored_reasons
from core.lead_scoring.models import ScoringJob
from core.lead_scoring.subject import subject

# From here on a score is high, from LOW on medium.
HIGH, LOW = 71, 31
KEYS = {"action", "lead_id", "lead_ids", "filter", "all"}
ACTIONS = ("score", "bulk_score", "retrain")
NUMBER = {"type": "number"}
FACTOR = object_of(
    {
        "factor": TEXT,
        "importance": NUMBER,
        "points": {"type": "integer"},
        "label": TEXT,
        "value": TEXT,
        "text": TEXT,
    }
)
SCORED = object_of(
    {
        "success": FLAG,
        "lead_id": ID,
        "score": {"type": "integer", "minimum": 0, "maximum": 100},
        "probability": NUMBER,
        "base": {"type": "integer"},
        "factors": array_of(FACTOR),
        "model_version": nullable(ID),
        "rules_version": nullable(ID),
        "rule_share": NUMBER,
        "model_share": NUMBER,
        "warning": TEXT,
    }
)
STARTED = object_of({"success": FLAG, "task_id": TEXT, "job": TEXT})
COUNT = {"type": "integer"}
STATISTICS = object_of(
    dict.fromkeys(("total_leads", "high_score", "medium_score", "low_score"), COUNT)
    | {"average_score": NUMBER}
)
REQUEST = object_of(
    {
        "action": {"type": "string", "enum": list(ACTIONS)},
        "lead_id": ID,
        "lead_ids": array_of(ID),
        "filter": {"type": "object", "additionalProperties": True},
        "all": FLAG,
    },
    ("action",),
)
EXAMPLES = [
    OpenApiExample("One lead", {"action": "score", "lead_id": 123}, request_only=True),
    OpenApiExample("Many", {"action": "bulk_score", "lead_ids": [123, 124, 125]}, request_only=True),
    OpenApiExample("Retrain", {"action": "retrain"}, request_only=True),
]


class ScoringWork(CrmViewSet):
    """Scoring and training asked for."""

    @extend_schema(
        operation_id="scoring_run",
        tags=["scoring"],
        request={"application/json": REQUEST},
        responses={200: SCORED, 202: STARTED},
        examples=EXAMPLES,
    )
    def create(self, request: Request) -> Response:
        """Score one lead at once, many in the background, or retrain the model (administrators)."""
        body = _body(request)
        if body["action"] == "score":
            return Response(score_one(_id(body.get("lead_id")), request.user))
        job = self._start(request, body)
        return Response({"success": True, "task_id": str(job.task_id), "job": _address(request, job)}, 202)

    def _start(self, request: Request, body: Mapping[str, Any]) -> ScoringJob:
        if body["action"] == "bulk_score":
            return jobs.start(ScoringJob.Kind.BULK, request.user, _selection(body))
        if not role_allows(request.user, Permission.CONFIGURE):
            raise ForbiddenError("Only administrators retrain the model.")
        return jobs.start(ScoringJob.Kind.RETRAIN, request.user)


class ScoringReasons(CrmViewSet):
    """The score of one lead and why."""

    @extend_schema(operation_id="scoring_reasons", tags=["scoring"], responses={200: SCORED})
    def retrieve(self, request: Request, pk: str) -> Response:
        """The score a lead has, and why."""
        lead = record_id(pk)
        scopes.require(request.user, subject().definition.plural)
        if not subject().definition.visible_to(request.user).filter(pk=lead).exists():
            raise NotVisibleError("Not found.")
        return Response({"success": True, "lead_id": lead} | stored_reasons(lead))


class ScoringViewSet(ScoringReasons, ScoringWork):
    """Scores of the leads you see, and having them made anew."""

    policy = ReadAllPolicy(write=Permission.CHANGE)
    writes_in_transaction = False  # one lead is read, and written only when its score moved

    @extend_schema(operation_id="scoring_statistics", tags=["scoring"], responses={200: STATISTICS})
    def list(self, request: Request) -> Response:
        """How the leads you see are scored."""
        rows = subject().definition.visible_to(request.user).filter(archived_at=None).order_by()
        found = rows.aggregate(
            total_leads=Count("pk"),
            high_score=Count("pk", filter=Q(lead_score__gte=HIGH)),
            medium_score=Count("pk", filter=Q(lead_score__gte=LOW, lead_score__lt=HIGH)),
            low_score=Count("pk", filter=Q(lead_score__lt=LOW)),
            average_score=Avg("lead_score"),
        )
        return Response(found | {"average_score": round(float(found["average_score"] or 0), 2)})


def _address(request: Request, job: ScoringJob) -> str:
    return request.build_absolute_uri(f"/api/v1/scoring/jobs/{job.task_id}/")


def _body(request: Request) -> Mapping[str, Any]:
    body = body_of(request)
    for name in body:
        if name not in KEYS:
            raise InvalidError.unknown(name, sorted(KEYS))
    if body.get("action") not in ACTIONS:
        raise InvalidError.of("action", f"Expected one of: {', '.join(ACTIONS)}.", "invalid_choice")
    return body


def _id(raw: Any) -> int:
    with refused_as("lead_id"):
        if raw is None:
            raise ValueRefusedError("This field is required.", code="required")
        return field_types.Reference().to_internal_value(raw)


def _selection(body: Mapping[str, Any]) -> dict[str, Any]:
    """Which leads a bulk request names: exactly one of ids, filter, all."""
    given = [name for name in ("lead_ids", "filter", "all") if name in body]
    if len(given) != 1:
        raise InvalidError.of("lead_ids", 'Give one of "lead_ids", "filter", "all".', "required")
    if given == ["lead_ids"]:
        with refused_as("lead_ids"):
            return {"ids": ids_in(body["lead_ids"])}
    if given == ["filter"]:
        if not body["filter"]:
            raise InvalidError.of("filter", 'An empty filter would name every lead: give "all".', "blank")
        parse(subject().definition, body["filter"], name="filter")
        return {"filter": body["filter"]}
    if body["all"] is not True:
        raise InvalidError.of("all", "Expected true.")
    return {}
