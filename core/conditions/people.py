"""Names of people in conditions: `assigned_to.full_name`, as templates and the history call them.

E-mail addresses are not among them: whoever may ask for one letter after the other would find them out.
"""

from django.db.models import F, Func, TextField, Value
from django.db.models.functions import Coalesce, Concat, NullIf, Trim

from core.entities import field_types
from core.entities.columns import Column, derived
from core.entities.entity import Entity

NAMES = ("username", "first_name", "last_name", "full_name")


def person_column(entity: Entity, name: str) -> Column | None:
    """The column that a name such as `owner.username` stands for; None where it stands for none."""
    reference, _, field = name.partition(".")
    column = entity.by_name.get(reference)
    if column is None or field not in NAMES or not isinstance(column.field_type, field_types.Reference):
        return None
    if column.field_type.target != "user" or not column.filterable:
        return None
    return derived(name, field_types.Text(), _expression(column.path.removesuffix("_id"), field))


def _expression(path: str, field: str) -> Func:
    """SQL of one name; the full one falls back on the username, as User.get_full_name does."""
    if field != "full_name":
        return NullIf(F(f"{path}__{field}"), Value(""), output_field=TextField())
    parts = (F(f"{path}__first_name"), Value(" "), F(f"{path}__last_name"))
    whole = Trim(Concat(*parts, output_field=TextField()))
    return Coalesce(NullIf(whole, Value("")), F(f"{path}__username"), output_field=TextField())
