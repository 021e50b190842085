"""/api/v1/saved_views/: lists people come back to, their own and those others share."""

from typing import Any

from core.api.resources import ResourceViewSet, StrictSerializer
from core.conditions.models import SavedView
from core.conditions.views import check_view


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


class SavedViewViewSet(ResourceViewSet):
    """Saved views: one's own and shared ones. Only its owner, or an administrator, changes a shared one."""

    model = SavedView
    queryset = SavedView.objects.all()
    serializer_class = SavedViewSerializer
    filterset_fields = ("entity", "is_shared", "owner")
    ordering_fields = ("entity", "name", "created_at", "updated_at", "id")

    def perform_create(self, serializer: Any) -> None:
        self.saved(serializer, owner=self.request.user)
