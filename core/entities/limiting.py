"""Which fields a role's rights may limit, and how."""

from django.utils.translation import gettext as _

from core.access.roles import ALLOWED, Permission, Role
from core.entities.columns import Column
from core.entities.custom import PREFIX, schema
from core.entities.entity import Entity, entities
from core.entities.field_rights import HIDDEN, FieldRight
from core.entities.field_types import Reference
from core.entities.locks import CUSTOM_FIELDS, lock
from core.entities.money import CURRENCY_FIELD
from core.errors import FieldIssue, InvalidError

# What records are found, shared and told apart by, for every client and for the system.
NEVER = frozenset(
    (
        *("id", "version", "external_id", "tags", "custom_fields", CURRENCY_FIELD),
        *("created_by", "created_at", "updated_at", "archived_at"),
    )
)


def check(wanted: FieldRight) -> None:
    """Refuse a right that nobody could work with. Raises InvalidError, which names what is wrong.

    A custom field cannot go while this transaction limits it.
    """
    lock(CUSTOM_FIELDS, wanted.entity)
    issue = _about_role(wanted) or _about_field(wanted)
    if issue:
        raise InvalidError([issue])


def limitable(entity: Entity) -> list[str]:
    """The fields that some right may limit."""
    columns = schema(entity, names=[PREFIX])
    return [name for name, column in columns.items() if not _is_basic(column)]


def _about_role(wanted: FieldRight) -> FieldIssue | None:
    if wanted.role == Role.ADMIN:
        return FieldIssue("role", "never_limited", _("Administrators are never limited."))
    if wanted.role not in Role.values:
        return FieldIssue("role", "invalid_choice", _("Not one of: manager, rep, viewer."))
    return None


def _about_field(wanted: FieldRight) -> FieldIssue | None:
    entity = entities.get(wanted.entity)
    if entity is None:
        return FieldIssue(
            "entity", "invalid_choice", _("Not one of: %(names)s.") % {"names": ", ".join(entities.keys())}
        )
    column = schema(entity, names=[wanted.field]).get(wanted.field)
    if column is None:
        known = ", ".join(limitable(entity))
        return FieldIssue(
            "field",
            "unknown_field",
            _("Unknown field. Those that can be limited: %(known)s.") % {"known": known},
        )
    message = _refusal(entity, column, wanted)
    return FieldIssue("field", "not_limitable", message) if message else None


def _refusal(entity: Entity, column: Column, wanted: FieldRight) -> str:
    """Why this field cannot be limited so; "" where it can."""
    if _is_basic(column):
        return _("Records are found, shared and linked by this field: it cannot be limited.")
    if wanted.access == HIDDEN:
        if column.name in entity.display_fields:
            return _("Records are called by this field: it can be made read-only and not hidden.")
        if column.name in entity.always_shown:
            return _("Figures are made of this field: it can be made read-only and not hidden.")
    elif not column.writable:
        return _("Nobody changes this field by hand: it can be hidden and not made read-only.")
    if column.required and column.default is None and Permission.ADD in ALLOWED[Role(wanted.role)]:
        return _("This field is required and has no default, so that this role could create no records.")
    return ""


def _is_basic(column: Column) -> bool:
    return column.name in NEVER or (isinstance(column.field_type, Reference) and not column.custom)
