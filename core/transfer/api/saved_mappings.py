"""`/api/v1/import_mappings/`: settings of imports under a name."""

from typing import Any

from core.api.resources import ResourceViewSet
from core.transfer.api.serializers import SavedMappingSerializer
from core.transfer.models import SavedMapping


class SavedMappingViewSet(ResourceViewSet):
    """Your import settings by name; give one as `saved_mapping` to an import."""

    model = SavedMapping
    queryset = SavedMapping.objects.all()
    serializer_class = SavedMappingSerializer
    filterset_fields = ("entity",)
    ordering_fields = ("name", "created_at", "updated_at", "id")

    def perform_create(self, serializer: Any) -> None:
        self.saved(serializer, owner=self.request.user)
