"""/api/v1/field_rights/: which fields a role may not see or not change; administrators write."""

from core.api.resources import ResourceViewSet, StrictSerializer
from core.entities import limiting
from core.entities.field_rights import FieldRight


class FieldRightSerializer(StrictSerializer):
    """`field` is one of the entity's own, or `custom_fields.<key>`."""

    class Meta:
        model = FieldRight
        fields = ["id", "role", "entity", "field", "access", "created_at", "updated_at"]

    def check(self, wanted: FieldRight) -> None:
        limiting.check(wanted)


class FieldRightViewSet(ResourceViewSet):
    """Fields that are hidden from a role, or read-only for it.

    Everyone reads what limits their own role, so that a client can draw its forms; administrators, who are
    never limited, read and write all. A right counts from the next request on.
    """

    model = FieldRight
    queryset = FieldRight.objects.all()
    serializer_class = FieldRightSerializer
    filterset_fields = ("role", "entity", "field", "access")
    ordering_fields = ("role", "entity", "field", "access", "created_at", "updated_at", "id")
