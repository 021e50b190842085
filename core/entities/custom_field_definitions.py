"""Defining custom fields: what a definition must be, and what happens to values when it changes or goes.

Call inside `core.changes.audit_context`: values that go are changes of their records.
"""

from typing import Any

from django.db.models import Count, F, JSONField, QuerySet, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.fields.json import KeyTransform
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.entities.custom import PREFIX, field_type_of
from core.entities.entity import entities
from core.entities.field_rights import FieldRight
from core.entities.locks import CUSTOM_FIELDS, lock
from core.entities.models import CustomField
from core.entities.usage import UsageTarget, check_unused
from core.errors import ConflictError, FieldIssue, InvalidError, ValueRefusedError
from core.models.folding import nfc

FIXED = ("entity", "key", "type")
# Of these two records may well have the same value, and lists overlap rather than equal each other.
NEVER_UNIQUE = (CustomField.Type.BOOLEAN, CustomField.Type.MULTI_CHOICE)
# Per entity: all of them are checked at every write.
MAX_FIELDS = 200


def check(wanted: CustomField, before: CustomField | None = None) -> None:
    """Refuse a definition that cannot be. `default` is put into the form values are stored in.

    Raises InvalidError for what is wrong in itself and ConflictError for what stored values contradict. One
    definition at a time: two made or changed at once would pass each other's checks.
    """
    lock(CUSTOM_FIELDS, wanted.entity)
    issues = [*_identity(wanted, before), *_choices(wanted), *_uniqueness(wanted), *_default(wanted)]
    if issues:
        raise InvalidError(issues)
    if before is None:
        _check_room(wanted)
        return
    if wanted.unique and not before.unique:
        _check_values_differ(wanted)
    _check_choices_unused(wanted, set(before.choices) - set(wanted.choices))


def forget_values(definition: CustomField) -> int:
    """Take the field's values out of all records, so that a later field of the same key starts empty, and the
    rights that limited it; returns how many records had one."""
    FieldRight.objects.filter(entity=definition.entity, field=PREFIX + definition.key).delete()
    entity = entities.get(definition.entity)
    if entity is None:
        return 0
    without = CombinedExpression(F("custom_fields"), "-", Value(definition.key), output_field=JSONField())
    return _with_value(definition).update(custom_fields=without)


def _identity(wanted: CustomField, before: CustomField | None) -> list[FieldIssue]:
    if before is None:
        known = ", ".join(entities.keys())
        unknown = wanted.entity not in entities
        return (
            [FieldIssue("entity", "invalid_choice", _("Not one of: %(known)s.") % {"known": known})]
            if unknown
            else []
        )
    changed = [name for name in FIXED if getattr(wanted, name) != getattr(before, name)]
    return [FieldIssue(name, "immutable", _("This stays as it was defined.")) for name in changed]


def _choices(wanted: CustomField) -> list[FieldIssue]:
    """They are matched in any case, so they must differ in more than that."""
    folded = [nfc(choice).strip().casefold() for choice in wanted.choices]
    if "" in folded:
        return [FieldIssue("choices", "blank", _("A choice may not be blank."))]
    if len(set(folded)) < len(folded):
        return [FieldIssue("choices", "unique", _("Each choice may be there once, whatever its case."))]
    return []


def _uniqueness(wanted: CustomField) -> list[FieldIssue]:
    if not wanted.unique:
        return []
    if wanted.type in NEVER_UNIQUE:
        return [
            FieldIssue(
                "unique", "invalid", _("A field of type %(type)s cannot be unique.") % {"type": wanted.type}
            )
        ]
    if wanted.default is not None:
        return [FieldIssue("default", "invalid", _("A unique field has no default; all would share it."))]
    return []


def _default(wanted: CustomField) -> list[FieldIssue]:
    if wanted.default in (None, "", []):
        wanted.default = None
        return []
    field_type = field_type_of(wanted)
    try:
        wanted.default = field_type.to_representation(field_type.to_internal_value(wanted.default))
    except ValueRefusedError as error:
        return [FieldIssue("default", error.code, error.message)]
    return []


def _check_room(wanted: CustomField) -> None:
    if CustomField.objects.filter(entity=wanted.entity).count() >= MAX_FIELDS:
        raise ConflictError(
            _("There may be %(max_fields)s custom fields.") % {"max_fields": MAX_FIELDS}, code="too_many"
        )


def _with_value(definition: CustomField) -> QuerySet:
    return entities[definition.entity].model.objects.filter(custom_fields__has_key=definition.key)


def _check_values_differ(wanted: CustomField) -> None:
    value = KeyTransform(wanted.key, "custom_fields")
    live = _with_value(wanted).filter(archived_at=None).order_by().annotate(value=value)
    shared: Any = live.values("value").annotate(n=Count("pk")).filter(n__gt=1)
    if shared.exists():
        raise ConflictError(_("Several records have the same value; make them differ first."), code="unique")


def _check_choices_unused(wanted: CustomField, removed: set[str]) -> None:
    for choice in sorted(removed):
        held: Any = [choice] if wanted.type == CustomField.Type.MULTI_CHOICE else choice
        used = _with_value(wanted).filter(custom_fields__contains={wanted.key: held}).count()
        if used:
            raise ConflictError(
                _("%(choice)s is chosen in %(used)s records; change these first.")
                % {"choice": repr(choice), "used": used},
                code="in_use",
            )
        named = frozenset((f"{PREFIX}{wanted.key}",))
        check_unused(
            UsageTarget(
                format_lazy(gettext_lazy("The choice {choice}"), choice=repr(choice)),
                named,
                frozenset((choice,)),
                entity=wanted.entity,
            )
        )
