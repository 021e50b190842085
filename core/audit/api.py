"""The change feed over HTTP: `GET /api/v1/changes/?cursor=`."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import ReadAllPolicy
from core.api import pagination
from core.api.parameters import single_valued
from core.api.schema.parts import ARCHIVED_BEFORE, ID, TEXT, page_of, ref
from core.api.viewsets import CrmViewSet
from core.changes import archived, feed
from core.changes.history import presented
from core.changes.models import Change
from core.entities import entities
from core.entities.field_types import Choice, DateTime, FieldType, Reference
from core.errors import ValueRefusedError, refused_as
from core.models import capture

# Parameter → what it takes and the lookup it stands for; commas mean any of these.
FILTERS: dict[str, tuple[FieldType, str]] = {
    "entity": (Choice(choices=tuple(capture.NAMES)), "entity__in"),
    "object_id": (Reference(), "object_id__in"),
    "kind": (Choice(choices=tuple(Change.Kind.values)), "kind__in"),
    "source": (Choice(choices=tuple(Change.Source.values)), "source__in"),
    "actor": (Reference(target="user"), "actor_id__in"),
    "since": (DateTime(), "at__gte"),
}
ABOUT = {
    "entity": "Changes of these kinds of records, separated by commas.",
    "object_id": "Changes of records with these ids, separated by commas.",
    "kind": "What was done, separated by commas: created, updated, archived, restored, deleted.",
    "source": "Sources of the changes, separated by commas: api, admin, import, bulk, workflow, agent, …",
    "actor": "What these users did, by their ids.",
    "since": "From this moment on.",
}
SIZE = ID | {"maximum": 500, "default": 50}
PARAMETERS = [
    OpenApiParameter("cursor", TEXT, description="The `cursor` of the page before."),
    OpenApiParameter("page_size", SIZE, description="Results per page."),
    *(
        OpenApiParameter(name, kind.json_schema() if name == "since" else TEXT, description=ABOUT[name])
        for name, (kind, _) in FILTERS.items()
    ),
]
PAGE = page_of(ref("Change"))
PAGE["properties"] |= ARCHIVED_BEFORE
PAGE["properties"]["cursor"] = TEXT | {"description": "Ask with it again for what comes next, also later."}


class ChangeViewSet(CrmViewSet):
    """Every change of every record you see, in an order in which nothing is passed over."""

    policy = ReadAllPolicy()
    allowed_query_params = {"list": {*FILTERS, "cursor", "page_size"}}

    @extend_schema(
        operation_id="changes_list", tags=["changes"], parameters=PARAMETERS, responses={200: PAGE}
    )
    def list(self, request: Request) -> Response:
        """Read the change feed."""
        params = single_valued(request)
        size, horizon = pagination.page_size(request), feed.horizon()
        rows = feed.visible(_filtered(feed.settled(horizon), params), request.user)
        if params.get("cursor"):
            rows = feed.after(rows, params["cursor"], horizon)
        page = _page(request, list(rows[: size + 1]), size, horizon)
        return Response(page if params.get("cursor") else page | _archived_before(params))


def _filtered(rows: QuerySet[Change], params: dict[str, str]) -> QuerySet[Change]:
    """The rows the parameters name. Raises InvalidError for bad values."""
    for name in FILTERS.keys() & params.keys():
        value = _value(name, params[name])
        rows = feed.since(rows, value) if name == "since" else rows.filter(**{FILTERS[name][1]: value})
    return rows


def _archived_before(params: dict[str, str]) -> dict[str, Any]:
    """What a reading that begins anew says where older changes were archived, which it would have given."""
    kept = archived.kept_from()
    if kept is None or ("since" in params and _value("since", params["since"]) >= kept):
        return {}
    return {"archived_before": kept}


def _value(name: str, text: str) -> Any:
    kind, lookup = FILTERS[name]
    with refused_as(name):
        if not text:
            raise ValueRefusedError(gettext("A value is needed."), code="blank")
        return (
            [kind.to_internal_value(part) for part in text.split(",")]
            if lookup.endswith("__in")
            else kind.to_internal_value(text)
        )


def _page(request: Request, rows: list[Change], size: int, horizon: int) -> dict[str, Any]:
    """A page and where the next one begins: behind its last change, or, when there was nothing more, where
    the feed ended, so that a quiet filter is not searched again from its beginning."""
    more = len(rows) > size
    cursor = feed.encode(rows[size - 1] if more else (horizon, 0))
    by_name = {entity.name: entity.for_user(request.user) for entity in entities}
    return {
        "count": None,
        "next": pagination.address(request, cursor=cursor) if more else None,
        "previous": None,
        "cursor": cursor,
        "results": presented(rows[:size], by_name),
    }
