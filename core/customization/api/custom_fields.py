"""/api/v1/custom_fields/: the fields an organisation adds; everyone reads, administrators write."""

from rest_framework import serializers

from core.api.resources import FORCE, ResourceViewSet, StrictSerializer
from core.entities import custom_field_definitions
from core.entities.models import CustomField


class CustomFieldSerializer(StrictSerializer):
    """`entity`, `key` and `type` cannot be changed later; `default` has the field's own type."""

    default = serializers.JSONField(allow_null=True, required=False)

    class Meta:
        model = CustomField
        fields = [
            "id", "entity", "key", "label", "type", "choices", "required", "unique", "searchable", "scorable",
            "default", "help_text", "position", "created_at",
        ]  # fmt: skip

    def check(self, wanted: CustomField) -> None:
        custom_field_definitions.check(wanted, self.instance)


class CustomFieldViewSet(ResourceViewSet):
    """Custom fields, addressed as `custom_fields.<key>` in filters, orderings and `fields`.

    Deleting one takes its values out of all records. One that is in use goes with `force=true` only.
    """

    model = CustomField
    queryset = CustomField.objects.all()
    serializer_class = CustomFieldSerializer
    filterset_fields = ("entity", "key", "type")
    allowed_query_params = FORCE
    ordering_fields = ("entity", "key", "label", "type", "position", "created_at", "id")

    def perform_destroy(self, instance: CustomField) -> None:
        super().perform_destroy(instance)
        custom_field_definitions.forget_values(instance)
