"""Activities and comments over HTTP."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission
from core.activities import further_records, mentions
from core.activities.api.attached import AttachedSerializer, AttachedViewSet
from core.activities.api.further import FurtherRecordsField
from core.activities.models import Activity, ActivityRecord, Comment
from core.api.parameters import PAGES
from core.api.schema.lists import PAGING
from core.api.schema.parts import page_of, ref
from core.changes.history import presented
from core.changes.models import Change
from core.entities import entities


class ActivitySerializer(AttachedSerializer):
    """An activity of a record, and, where it is about several, of the further `records`."""

    records = FurtherRecordsField(ActivityRecord, entities.keys)

    class Meta:
        model = Activity
        fields = [
            "id", "entity", "object_id", "type", "direction", "subject", "body", "outcome", "duration",
            "happened_at", "records", "author", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["created_at", "updated_at"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        own = {"records": attrs.pop("records")} if "records" in attrs else {}
        return super().validate(attrs) | own

    def create(self, validated_data: dict[str, Any]) -> Activity:
        records = validated_data.pop("records", None)
        return self._with(super().create(validated_data), records)

    def update(self, instance: Activity, validated_data: dict[str, Any]) -> Activity:
        records = validated_data.pop("records", None)
        return self._with(super().update(instance, validated_data), records)

    def _with(self, activity: Activity, records: Any) -> Activity:
        if records is not None:
            further_records.replace(ActivityRecord, activity, records, self.context["request"].user)
        return activity


class ActivityViewSet(AttachedViewSet):
    """Calls, e-mails, meetings and notes on records; `duration` is in seconds."""

    model = Activity
    queryset = Activity.objects.select_related("author")
    serializer_class = ActivitySerializer
    filterset_fields = ("type", "direction", "author", "outcome")
    ordering_fields = ("happened_at", "id")

    def of_record(self, rows: QuerySet, entity: str, pk: int) -> QuerySet:
        further = further_records.holders_of(ActivityRecord, entity, [pk])
        return rows.filter(Q(entity=entity, object_id=pk) | Q(pk__in=further))


class CommentSerializer(AttachedSerializer):
    body = serializers.CharField(max_length=20_000)
    mentions = serializers.SerializerMethodField()

    class Meta:
        model = Comment
        fields = [
            "id", "entity", "object_id", "body", "author", "mentions", "created_at", "edited_at",
        ]  # fmt: skip
        read_only_fields = ["created_at", "edited_at"]

    def get_mentions(self, comment: Comment) -> list[int]:
        return sorted(m.user_id for m in comment.mentions.all())

    def create(self, validated_data: dict[str, Any]) -> Comment:
        return mentions.create_comment(**validated_data)

    def update(self, instance: Comment, validated_data: dict[str, Any]) -> Comment:
        changed = validated_data.get("body", instance.body) != instance.body
        if changed:
            instance = super().update(instance, validated_data | {"edited_at": timezone.now()})
            mentions.save_mentions(instance)
        return instance


class CommentViewSet(AttachedViewSet):
    """Comments on records. `@username` notifies that user, if they may see the record."""

    model = Comment
    queryset = Comment.objects.select_related("author").prefetch_related("mentions")
    serializer_class = CommentSerializer
    filterset_fields = ("author",)
    ordering_fields = ("id",)
    action_permissions = {"history": Permission.VIEW}
    allowed_query_params = {"list": None, "history": PAGES}

    @extend_schema(responses={200: page_of(ref("Change"))}, parameters=PAGING, filters=False)
    @action(methods=["get"], detail=True)
    def history(self, request: Request, pk: str) -> Response:
        """Every version of the comment, newest first."""
        comment = self.get_object()
        rows = Change.objects.filter(entity="comment", object_id=comment.pk).order_by("-id")
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(presented(page, {}))
