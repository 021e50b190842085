"""The viewset of an entity whose records can be merged."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.activities.api.viewsets import PAGE_NUMBER, RecordViewSet
from core.api import preconditions
from core.api.counting import Count
from core.api.pagination import make_page, place_of
from core.api.parameters import PAGES
from core.duplicates.api.serializers import (
    DismissedSerializer,
    DismissSerializer,
    DuplicateGroupPageSerializer,
    DuplicateGroupParameters,
    GroupMergeResultSerializer,
    GroupMergeSerializer,
    MergeRequestSerializer,
    MergeSerializer,
    merged_groups,
)
from core.duplicates.bulk_merging import merge_groups
from core.duplicates.groups import dismiss, shown, take_back, visible_groups
from core.duplicates.merging import MergeRequest, merge


class MergeableViewSet(RecordViewSet):
    """The base of the viewsets of entities that declare how their records are merged."""

    action_permissions = {
        **RecordViewSet.action_permissions,
        **dict.fromkeys(("merge", "merge_duplicates", "dismiss_duplicates"), Permission.CHANGE),
    }
    sources = {**RecordViewSet.sources, "merge_duplicates": "bulk"}
    allowed_query_params = {
        **RecordViewSet.allowed_query_params,
        "duplicates": PAGES | set(DuplicateGroupParameters().fields),
    }

    @extend_schema(request=MergeRequestSerializer, responses=MergeSerializer)
    @action(methods=["post"], detail=False)
    def merge(self, request: Request) -> Response:
        """Merge records: what refers to them moves to the survivor, and their ids redirect to it."""
        given = MergeRequestSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        asked = MergeRequest(
            given.validated_data["survivor"],
            given.validated_data["merged"],
            given.validated_data.get("fields", {}),
        )

        def check(records: Sequence[Any]) -> None:
            preconditions.check(request, records[0])

        made = merge(self.entity, asked, request.user, check)
        return Response(MergeSerializer(made).data)

    @extend_schema(
        responses=DuplicateGroupPageSerializer, parameters=[DuplicateGroupParameters, *PAGE_NUMBER]
    )
    @action(methods=["get"], detail=False)
    def duplicates(self, request: Request) -> Response:
        """List groups of possible duplicates of which you see two or more, the most certain first."""
        asked = DuplicateGroupParameters(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        query = asked.query()
        groups = visible_groups(self.entity, request.user, query)
        size, start = place_of(request)
        found = list(groups[start : start + size + 1])
        counted = Count(start + len(found) if len(found) <= size else groups.count())

        def read(groups: Sequence[Any]) -> list[dict[str, Any]]:
            return [asdict(group) for group in shown(self.entity, groups, request.user, query)]

        return Response(make_page(request, found, start, size, counted, read).body())

    @extend_schema(request=DismissSerializer, responses=DismissedSerializer)
    @action(methods=["post"], detail=False, url_path="duplicates/dismiss")
    def dismiss_duplicates(self, request: Request) -> Response:
        """Mark records as no duplicates of each other, or take that back."""
        given = DismissSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        act = dismiss if given.validated_data["dismissed"] else take_back
        return Response({"pairs": act(self.entity, given.validated_data["ids"], request.user)})

    @extend_schema(
        request=GroupMergeSerializer,
        responses={200: GroupMergeResultSerializer, 207: GroupMergeResultSerializer},
    )
    @action(methods=["post"], detail=False, url_path="duplicates/merge")
    def merge_duplicates(self, request: Request) -> Response:
        """Merge groups of exact duplicates, each into its first record; each group has its own result."""
        given = GroupMergeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        groups, dry_run = given.validated_data["groups"], given.validated_data["dry_run"]
        made = merge_groups(self.entity, groups, request.user, dry_run=dry_run)
        answer = merged_groups(made, dry_run=dry_run)
        return Response(answer, 207 if answer["failed"] else 200)
