"""/api/v1/tags/: the tags in use, and changing them on all records at once."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, Policy
from core.api import listing, paging
from core.api.bodies import only
from core.api.parameters import PAGES
from core.api.schema.lists import PAGING
from core.api.schema.parts import TEXT, Schema, object_of, of_kinds, page_of
from core.api.viewsets import CrmViewSet
from core.entities import Entity, entities, tags
from core.entities.field_types import Boolean, FieldType, Text, TextList
from core.entities.finding import check_search
from core.entities.usage import release
from core.errors import InvalidError

ENTITY = Text(max_length=40)
TAG = Text(max_length=60)
RENAME: dict[str, FieldType] = {"entity": ENTITY, "tag": TAG, "to": TAG}
MERGE: dict[str, FieldType] = {"entity": ENTITY, "tags": TextList(), "to": TAG}
DELETE: dict[str, FieldType] = {"entity": ENTITY, "tags": TextList(), "force": Boolean()}
OPTIONAL = ("force",)
COUNT: Schema = {"type": "integer"}
UPDATED = object_of({"updated": COUNT})
IN_USE = page_of(object_of({"entity": TEXT, "tag": TEXT, "count": COUNT}))
PARAMETERS = [
    OpenApiParameter("entity", TEXT, description="Of one entity; of all without it."),
    OpenApiParameter("search", TEXT, description="Text in the tag."),
    *PAGING,
]


class TagChanges(CrmViewSet):
    """Tags changed on all records that are yours to change."""

    @extend_schema(tags=["tags"], request={"application/json": of_kinds(RENAME)}, responses={200: UPDATED})
    @action(methods=["post"], detail=False)
    def rename(self, request: Request) -> Response:
        """Rename a tag on every record that has it."""
        body = _body(request, RENAME)
        return _updated(tags.merge(_entity(body["entity"]), request.user, [body["tag"]], body["to"]))

    @extend_schema(tags=["tags"], request={"application/json": of_kinds(MERGE)}, responses={200: UPDATED})
    @action(methods=["post"], detail=False)
    def merge(self, request: Request) -> Response:
        """Put one tag in the place of several."""
        body = _body(request, MERGE)
        return _updated(tags.merge(_entity(body["entity"]), request.user, body["tags"], body["to"]))

    @extend_schema(tags=["tags"], request={"application/json": of_kinds(DELETE)}, responses={200: UPDATED})
    @action(methods=["post"], detail=False, url_path="delete")
    def remove(self, request: Request) -> Response:
        """Take tags from every record; those that workflows or views name with `force` only."""
        body = _body(request, DELETE)
        entity = _entity(body["entity"])
        for tag in body["tags"]:
            release(tags.target_of(entity, tag), force=bool(body.get("force")))
        return _updated(tags.remove(entity, request.user, body["tags"]))


class TagViewSet(TagChanges):
    """Tags in use on the records you see; changed on all records that are yours to change."""

    policy = Policy()
    access = dict.fromkeys(("rename", "merge", "remove"), Permission.CHANGE)
    taking = {"list": {"entity", "search", *PAGES}}

    @extend_schema(operation_id="tags_list", tags=["tags"], parameters=PARAMETERS, responses={200: IN_USE})
    def list(self, request: Request) -> Response:
        """Tags with how many live records have them, the commonest first."""
        params = listing.single_valued(request)
        wanted = [_entity(params["entity"])] if "entity" in params else list(entities)
        search = params.get("search", "")
        check_search(search)
        found = [row for entity in wanted for row in tags.in_use(entity, request.user, search)]
        found.sort(key=lambda row: (-row["count"], row["tag"], row["entity"]))
        return Response(paging.listed(request, found).body())


def _body(request: Request, known: dict[str, FieldType]) -> dict[str, Any]:
    body = only(request, known)
    for name in known:
        if name not in OPTIONAL and not body.get(name):
            raise InvalidError.of(name, "This field is required.", "required")
    return body


def _entity(name: str) -> Entity:
    found = entities.get(name)
    if found is None:
        raise InvalidError.of("entity", f"Not one of: {', '.join(entities.keys())}.", "invalid_choice")
    return found


def _updated(count: int) -> Response:
    return Response({"updated": count})
