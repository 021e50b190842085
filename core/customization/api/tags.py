"""/api/v1/tags/: the tags in use, and changing them on all records at once."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, Policy, role_allows
from core.api import pagination
from core.api.parameters import PAGES, single_valued
from core.api.schema.parts import TEXT
from core.api.strict import StrictFieldsMixin
from core.api.viewsets import CrmViewSet
from core.entities import Entity, entities, tags
from core.entities.field_types import Boolean, Text, TextList, refuse
from core.entities.finding import check_search
from core.entities.usage import check_unused, release
from core.errors import refused_as


class EntityField(serializers.CharField):
    """The name of an entity; the entity itself once it is read."""

    def to_internal_value(self, data: Any) -> Entity:  # type: ignore[override]  # the stub's own type
        return _entity(data)


def _entity(name: Any) -> Entity:
    found = entities.get(name) if isinstance(name, str) else None
    if found is None:
        raise refuse("invalid_choice", _("Not one of: %(names)s.") % {"names": ", ".join(entities.keys())})
    return found


class TagListSerializer(StrictFieldsMixin, serializers.Serializer):
    """Tags of one entity's records."""

    entity = EntityField()
    tags = TextList(allow_empty=False)


class TagDeletionSerializer(TagListSerializer):
    """Tags to remove. `force` removes tags that workflows or views name too, if you may write these."""

    force = Boolean(required=False, allow_null=True)


class TagMergeSerializer(TagDeletionSerializer):
    """Tags, and the one that takes their place."""

    to = Text(max_length=60)


class TagRenameSerializer(StrictFieldsMixin, serializers.Serializer):
    """A tag and its new name."""

    entity = EntityField()
    tag = Text(max_length=60)
    to = Text(max_length=60)
    force = Boolean(required=False, allow_null=True)


class TagSerializer(serializers.Serializer):
    """A tag in use, and how many records have it (archived ones not counted)."""

    entity = serializers.CharField()
    tag = serializers.CharField()
    count = serializers.IntegerField()


class UpdatedSerializer(serializers.Serializer):
    """How many records were changed."""

    updated = serializers.IntegerField()


PARAMETERS = [
    OpenApiParameter("entity", TEXT, description="Of one entity; of all without it."),
    OpenApiParameter("search", TEXT, description="Text in the tag."),
]


@extend_schema(tags=["tags"])
class TagViewSet(CrmViewSet):
    """Tags in use on the records you see; changed on all records that are yours to change."""

    policy = Policy()
    pagination_class = pagination.PageNumberPagination
    action_permissions = dict.fromkeys(("rename", "merge", "remove"), Permission.CHANGE)
    allowed_query_params = {"list": {"entity", "search", *PAGES}}

    @extend_schema(operation_id="tags_list", parameters=PARAMETERS, responses=TagSerializer)
    def list(self, request: Request) -> Response:
        """List the tags with the number of records that have them (archived ones not counted), the most used
        first."""
        params = single_valued(request)
        with refused_as("entity"):
            wanted = [_entity(params["entity"])] if "entity" in params else list(entities)
        search = params.get("search", "")
        check_search(search)
        found = [row for entity in wanted for row in tags.in_use(entity, request.user, search)]
        found.sort(key=lambda row: (-row["count"], row["tag"], row["entity"]))
        return Response(pagination.page_of_list(request, found).body())

    @extend_schema(request=TagRenameSerializer, responses=UpdatedSerializer)
    @action(methods=["post"], detail=False)
    def rename(self, request: Request) -> Response:
        """Rename a tag on every record that has it; `force` is needed for a tag that workflows or views
        name."""
        given = self._checked(TagRenameSerializer)
        return self._merged(given, [given["tag"]])

    @extend_schema(request=TagMergeSerializer, responses=UpdatedSerializer)
    @action(methods=["post"], detail=False)
    def merge(self, request: Request) -> Response:
        """Replace several tags by one; `force` is needed for tags that workflows or views name."""
        given = self._checked(TagMergeSerializer)
        return self._merged(given, given["tags"])

    @extend_schema(request=TagDeletionSerializer, responses=UpdatedSerializer)
    @action(methods=["post"], detail=False, url_path="delete")
    def remove(self, request: Request) -> Response:
        """Remove tags from all records; `force` is needed for tags that workflows or views name."""
        given = self._checked(TagDeletionSerializer)
        self._release(given, given["tags"])
        return _updated(tags.remove(given["entity"], request.user, given["tags"]))

    def _merged(self, given: Mapping[str, Any], gone: Sequence[str]) -> Response:
        self._release(given, [tag for tag in gone if tag != given["to"]])
        return _updated(tags.merge(given["entity"], self.request.user, gone, given["to"]))

    def _release(self, given: Mapping[str, Any], gone: Sequence[str]) -> None:
        """Make sure that nothing names tags that go; what does is paused by those alone who may write it."""
        may_pause = role_allows(self.request.user, Permission.AUTOMATE)
        for target in [tags.target_of(given["entity"], tag) for tag in gone]:
            if may_pause:
                release(target, force=bool(given.get("force")))
            else:
                check_unused(target)

    def _checked(self, serializer_class: type[serializers.Serializer]) -> dict[str, Any]:
        serializer = serializer_class(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data


def _updated(count: int) -> Response:
    return Response({"updated": count})
