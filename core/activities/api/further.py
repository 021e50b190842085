"""The further records of activities and tasks as a field of their serializers."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.activities import further_records
from core.activities.further_records import Ref
from core.activities.models import FurtherRecord
from core.api.problems import issues_of
from core.api.schema.parts import ID, TEXT, answer_of
from core.api.strict import StrictFieldsMixin
from core.entities.field_types import BIGINT_MAX
from core.errors import FieldIssue, InvalidError


class FurtherRecordSerializer(StrictFieldsMixin, serializers.Serializer):
    """A record that something is about: its entity's name and its id."""

    entity = serializers.CharField(max_length=40)
    id = serializers.IntegerField(min_value=1, max_value=BIGINT_MAX)


@extend_schema_field(
    {
        "type": "array",
        "maxItems": further_records.AT_MOST,
        "items": answer_of({"entity": TEXT, "id": ID, "name": TEXT}, optional=("name",)),
    }
)
class FurtherRecordsField(serializers.Field):
    """What it is about beside its first record, as far as one sees it: `[{"entity": "contact", "id": 5}]`."""

    def __init__(self, model: type[FurtherRecord], kinds: Any, **options: Any) -> None:
        self.model, self.kinds = model, kinds
        super().__init__(required=False, help_text="The further records, beside the first one.", **options)

    def get_attribute(self, instance: Any) -> Any:
        return instance

    def to_internal_value(self, data: Any) -> list[Ref]:
        if not isinstance(data, list):
            raise InvalidError.of("records", _("Expected a list."), "not_a_list")
        if len(data) > further_records.AT_MOST:
            raise InvalidError.of(
                "records",
                _("At most %(at_most)s records.") % {"at_most": further_records.AT_MOST},
                "max_length",
            )
        refs, issues = [], []
        for index, one in enumerate(data):
            given = FurtherRecordSerializer(data=_without_name(one))
            try:
                given.is_valid(raise_exception=True)
                refs.append((given.validated_data["entity"], given.validated_data["id"]))
            except serializers.ValidationError as error:
                issues += [
                    FieldIssue(f"records[{index}].{i['field']}", i["code"], i["message"])
                    for i in issues_of(error)
                ]
        if issues:
            raise InvalidError(issues)
        further_records.check(refs, self._user, self.kinds())
        return refs

    def to_representation(self, value: Any) -> list[dict[str, Any]]:
        """Those of all records that are answered with are read at once."""
        context: Any = self.context
        found = context.setdefault("further_records", {})
        if value.pk not in found:
            shown = getattr(self.parent.parent, "instance", None) if self.parent.parent else None
            ids = [one.pk for one in shown] if isinstance(shown, Sequence) else [value.pk]
            found |= {pk: [] for pk in (value.pk, *ids)}
            found |= further_records.shown(self.model, [value.pk, *ids], self._user)
        return found[value.pk]

    @property
    def _user(self) -> Any:
        return self.context["user"] if "user" in self.context else self.context["request"].user


def _without_name(data: Any) -> Any:
    """As it was read, so that it can be sent back."""
    return {k: v for k, v in data.items() if k != "name"} if isinstance(data, dict) else data
