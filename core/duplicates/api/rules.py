"""/api/v1/duplicate_rules/."""

from typing import Any

from core.api.resources import ResourceViewSet, StrictSerializer
from core.entities import duplicate_rules
from core.entities.field_types import Float
from core.entities.models import DuplicateRule


class DuplicateRuleSerializer(StrictSerializer):
    """What makes a new record of `entity` a possible duplicate.

    `compare` names what is compared: `email`, `phone`, `name_company`, `name`, `domain`, `address`, as the
    entity has it, or `custom_fields.<key>`. `across` is another entity whose records are compared as well, in
    both directions."""

    # Which takes no NaN.
    threshold = Float(min_value=0.3, max_value=1, required=False)

    class Meta:
        model = DuplicateRule
        fields = (
            "id", "name", "entity", "compare", "match", "threshold", "across", "on_create", "is_active",
            "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = ("created_at", "updated_at")
        # The database refuses a second rule of a name, as a conflict.
        extra_kwargs: dict[str, Any] = {"name": {"validators": []}}

    def check(self, wanted: DuplicateRule) -> None:
        duplicate_rules.check(wanted)


class DuplicateRuleViewSet(ResourceViewSet):
    """Rules about duplicates, applied to each new record, whichever door it comes through.

    Everyone reads them, administrators write them.
    """

    model = DuplicateRule
    queryset = DuplicateRule.objects.all()
    serializer_class = DuplicateRuleSerializer
    filterset_fields = ("entity", "across", "compare", "on_create", "is_active")
    ordering_fields = ("name", "entity", "created_at", "updated_at", "id")
