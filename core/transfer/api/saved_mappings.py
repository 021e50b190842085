"""`/api/v1/import-mappings/`: settings of imports under a name."""

from typing import Any

from rest_framework import serializers

from core.api.resources import ResourceViewSet, StrictSerializer
from core.entities import entities
from core.entities.entity import by_plural
from core.errors import InvalidError
from core.transfer.models import SavedMapping
from core.transfer.options import parse


class ResourceField(serializers.CharField):
    """`leads` outside, `lead` inside."""

    def to_representation(self, value: str) -> str:
        return entities[value].plural

    def to_internal_value(self, data: Any) -> str:
        found = by_plural(super().to_internal_value(data))
        if found is None:
            raise serializers.ValidationError("There is no such resource.", code="unknown")
        return found.name


class SavedMappingSerializer(StrictSerializer):
    resource = ResourceField(source="entity")

    class Meta:
        model = SavedMapping
        fields = ["id", "name", "resource", "settings", "created_at", "updated_at"]
        read_only_fields = ["id", "created_at", "updated_at"]

    def validate_settings(self, value: Any) -> dict[str, Any]:
        """Options as the import takes them."""
        if not isinstance(value, dict):
            raise serializers.ValidationError("Expected an object.", code="not_an_object")
        try:
            parse(value)
        except InvalidError as error:
            raise serializers.ValidationError(
                [serializers.ErrorDetail(f"{i.field}: {i.message}", i.code) for i in error.issues]
            ) from error
        return value


class SavedMappingViewSet(ResourceViewSet):
    """Your import settings by name; give one as `saved_mapping` to an import."""

    model = SavedMapping
    queryset = SavedMapping.objects.all()
    serializer_class = SavedMappingSerializer
    filterset_fields = ("entity",)
    ordering_fields = ("name", "created_at", "updated_at", "id")

    def perform_create(self, serializer: Any) -> None:
        self.saved(serializer, owner=self.request.user)
