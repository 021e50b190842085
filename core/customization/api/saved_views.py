"""/api/v1/saved_views/: lists people come back to, their own and those others share."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request

from core.access import Permission, shared_with
from core.api.parameters import PAGES, flag
from core.api.resources import ResourceViewSet, StrictSerializer
from core.conditions.models import SavedView
from core.conditions.views import check_view
from core.sharing.api.viewsets import SHARING, SharesMixin


class SavedViewSerializer(StrictSerializer):
    """A condition with search, ordering and columns; `?view=<id>` on a list uses it."""

    class Meta:
        model = SavedView
        fields = [
            "id", "entity", "name", "conditions", "search", "ordering", "fields", "is_shared", "owner",
            "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["owner"]

    def check(self, wanted: SavedView) -> None:
        check_view(wanted, self.context["request"].user, self.instance)


class SavedViewViewSet(SharesMixin, ResourceViewSet):
    """Saved views: your own and shared ones. A view that is shared with everyone can be changed only by its
    owner or an administrator; one that is shared with users or teams also by those whose share has `write`
    access."""

    model = SavedView
    queryset = SavedView.objects.all()
    serializer_class = SavedViewSerializer
    filterset_fields = ("entity", "is_shared", "owner")
    parameters = ("shared_with_me",)
    action_permissions = SHARING
    allowed_query_params = {**ResourceViewSet.allowed_query_params, "shares": PAGES}
    ordering_fields = ("entity", "name", "created_at", "updated_at", "id")

    def perform_create(self, serializer: Any) -> None:
        self.saved(serializer, owner=self.request.user)

    def filter_queryset(self, rows: QuerySet) -> QuerySet:
        rows = super().filter_queryset(rows)
        if not flag(self.request, "shared_with_me"):
            return rows
        shared = shared_with(SavedView.entity_name, self.request.user, Permission.VIEW)
        return rows.none() if shared is None else rows.filter(shared)

    def shared_thing(self, request: Request, pk: str) -> tuple[str, int]:
        return SavedView.entity_name, self.get_object().pk

    def thing_to_share(self, request: Request, pk: str) -> SavedView:
        return self.get_object()
