"""FilterSets of entities: what a list's query parameters mean, for lists, exports and statistics alike.

A FilterSet is made from an entity's columns, one filter per column and operator (`status`, `status__ne`,
`lead_score__gte`), and declares further ones by hand as django-filter's users know it:

    class LeadFilterSet(EntityFilterSet):
        hot = TypedFilter(Boolean(), method="filter_hot")

        class Meta:
            entity = LEAD
"""

import copy
import csv
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache, cached_property, reduce
from operator import and_, or_
from typing import Any, Self

import django_filters
import orjson
from django import forms
from django.db.models import Q, QuerySet
from django.forms.utils import ErrorDict
from django.http import QueryDict
from django.utils.translation import gettext
from django_filters.filterset import FilterSetMetaclass

from core.access import Permission, shared_with
from core.conditions.compiling import NEGATED, leaf_q, record_q
from core.conditions.grammar import LISTS, Condition, Leaf, operand, parse
from core.conditions.models import SavedView
from core.conditions.narrowing import narrowing_q
from core.conditions.related import FarColumns, related_column, unknown_related
from core.conditions.relative_dates import UNITS, in_zone_of
from core.entities import field_types
from core.entities.columns import Column
from core.entities.custom import PREFIX, schema
from core.entities.entity import Entity, entities
from core.entities.field_types import Boolean, FieldType
from core.errors import FieldIssue, InvalidError, ValueRefusedError
from core.registry import Registry

MAX_LENGTH = 5_000
# Between a field, a field of what it refers to, and an operator.
SEPARATOR = "__"


class _AllValues(forms.TextInput):
    """Every value of a parameter; a plain mapping, as exports store it, holds one or a list of them."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        if isinstance(data, QueryDict):
            return data.getlist(name)
        value = data.get(name)
        return value if isinstance(value, list) else [value]


class _ParameterField(forms.Field):
    """A form field that leaves reading its values to a function."""

    widget = _AllValues

    def __init__(self, read: Callable[[list[str]], Any], max_length: int) -> None:
        super().__init__(required=False)
        self.read, self.max_length = read, max_length

    def __deepcopy__(self, memo: Any) -> "_ParameterField":
        return self  # a form is made for one request and has nothing of it changed

    def clean(self, value: list[str]) -> Any:
        if not value:
            return None  # the parameter is not there
        try:
            if any(len(text) > self.max_length or "\x00" in text for text in value):
                raise ValueRefusedError(gettext("Too long, or with null characters."), code="invalid")
            return self.read(value)
        except ValueRefusedError as error:
            raise forms.ValidationError(error.message, code=error.code) from error


class ParameterFilter(django_filters.Filter):
    """Base of our filters: `read` makes a value of the parameter's texts and raises ValueRefusedError."""

    max_length = MAX_LENGTH

    def __deepcopy__(self, memo: Any) -> Self:
        """A FilterSet's own, which knows the FilterSet; what it is made of is shared and never changed."""
        found = copy.copy(self)
        if found.method is not None:
            found.method = found.method  # bound to this copy
        return found

    def read(self, texts: list[str]) -> Any:
        raise NotImplementedError

    @property
    def field(self) -> forms.Field:
        return _ParameterField(self.read, self.max_length)


class TypedFilter(ParameterFilter):
    """A declared filter whose value a field type reads: `TypedFilter(Boolean(), method="filter_hot")`."""

    def __init__(
        self,
        field_type: FieldType,
        *args: Any,
        help_text: str = "",
        reads: Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.field_type, self.help_text = field_type, help_text
        # The columns it looks at, besides one that it names: who may not see them has no such filter.
        self.reads = reads

    def read(self, texts: list[str]) -> Any:
        listed = isinstance(self.field_type, field_types.TextList | field_types.MultiChoice)
        if not listed and len(texts) != 1:
            raise ValueRefusedError(gettext("Expected one value."), code="invalid")
        value = self.field_type.to_internal_value(_items(texts) if listed else texts[0])
        if value in ("", []):
            raise ValueRefusedError(gettext("A value is needed."), code="blank")
        return value


def read_by(one: django_filters.Filter) -> set[str]:
    """The columns that a filter looks at."""
    return {str(one.field_name), *getattr(one, "reads", ())}


class ColumnFilter(ParameterFilter):
    """`column operator value`, compiled as a leaf of a condition is. Without an operator it is equality, or
    any of several values."""

    def __init__(self, column: Column, op: str | None = None) -> None:
        super().__init__(field_name=column.name, lookup_expr=op or "exact")
        self.column, self.op = column, op

    def read(self, texts: list[str]) -> list[Leaf]:
        """A leaf for each value, or one for all of them where the operator takes a list."""
        column, op = self.column, self.op or self._equality(texts)
        if op in LISTS:
            whole = self.op is None and self._is_text  # the parameter was given several times
            return [Leaf(column, op, operand(column, op, texts if whole else _items(texts)))]
        return [Leaf(column, op, operand(column, op, _operand(op, text))) for text in texts]

    def filter(self, qs: QuerySet, value: list[Leaf]) -> QuerySet:
        """Any of the values; of what must not be, none."""
        joined = and_ if value[0].op in NEGATED else or_
        entity, user = self.parent.entity, self.parent.user
        return qs.filter(
            reduce(joined, (leaf_q(leaf, user=user) & narrowing_q(entity, leaf) for leaf in value))
        )

    def _equality(self, texts: list[str]) -> str:
        """A comma in a text is a comma; elsewhere it stands between several values."""
        operators = self.column.field_type.operators
        if "has_any" in operators:
            return "has_any"
        several = len(texts) > 1 or ("," in texts[0] and not self._is_text)
        if several and "in" in operators and not self._is_one(texts):
            return "in"
        return "eq"

    @property
    def _is_text(self) -> bool:
        return "contains" in self.column.field_type.operators

    def _is_one(self, texts: list[str]) -> bool:
        """Whether what holds a comma is one choice as a whole."""
        folded = getattr(self.column.field_type, "folded", {})
        return len(texts) == 1 and texts[0].casefold() in folded


def _items(texts: Iterable[str]) -> list[str]:
    """The items of several values, each separated by commas; quotes hold one together as in CSV."""
    found: list[str] = []
    for text in texts:
        found += _csv_items(text) if '"' in text else text.split(",")
    return [item for item in found if item != ""]


def _csv_items(text: str) -> list[str]:
    try:
        rows = list(csv.reader([text], strict=True, skipinitialspace=True))
    except csv.Error:
        message = gettext('Quotes must be closed: "Acme, Inc.",Other.')
        raise ValueRefusedError(message, code="invalid") from None
    return rows[0] if rows else []


def _operand(op: str, text: str) -> Any:
    if op == "between":
        return [part for part in text.split(",") if part != ""]
    return _span(text) if op in ("within_last", "within_next") else text


def _span(text: str) -> Any:
    """`7d`, `12h`, `30m`, `2w` as the object the condition language takes."""
    units = {unit[0]: unit for unit in UNITS}
    if not text[:-1].isascii() or not text[:-1].isdigit() or text[-1:] not in units:
        raise ValueRefusedError(
            gettext("Expected a number and one of m, h, d, w, such as 7d."), code="invalid"
        )
    return {units[text[-1]]: int(text[:-1])}


class ArchivedFilter(ParameterFilter):
    """`true` shows what was archived instead of what was not; `any` shows both."""

    def read(self, texts: list[str]) -> bool | None:
        try:
            return None if texts == ["any"] else Boolean().to_internal_value(",".join(texts))
        except ValueRefusedError:
            raise ValueRefusedError(gettext("Expected true, false or any."), code="invalid") from None

    def filter(self, qs: QuerySet, value: bool | None) -> QuerySet:
        return qs if value is None else qs.filter(archived_at__isnull=not value)


class ConditionsFilter(ParameterFilter):
    """A condition tree as JSON."""

    max_length = 20_000

    def read(self, texts: list[str]) -> Condition:
        try:
            if len(texts) != 1 or (found := orjson.loads(texts[0])) is None:
                raise ValueError
        except ValueError:
            raise ValueRefusedError(gettext("Expected a condition as JSON."), code="invalid") from None
        return parse(self.parent.entity, found)

    def filter(self, qs: QuerySet, value: Condition) -> QuerySet:
        return qs.filter(record_q(value, user=self.parent.user), narrowing_q(self.parent.entity, value))


class SavedViewFilter(ParameterFilter):
    """The id of a saved view, whose conditions hold too; its search, ordering and fields are the list's."""

    def read(self, texts: list[str]) -> SavedView | None:
        if texts == [""]:
            return None
        user, entity = self.parent.user, self.parent.entity
        rows = SavedView.objects.visible_to(user).filter(entity=entity.name)
        text = texts[0]
        is_id = len(texts) == 1 and text.isascii() and text.isdigit() and len(text) < 19
        found = rows.filter(pk=int(text)).first() if is_id else None
        if found is None:
            raise ValueRefusedError(gettext("There is no such saved view."), code="invalid")
        return found

    def filter(self, qs: QuerySet, value: SavedView | None) -> QuerySet:
        if value is None:
            return qs
        entity = self.parent.entity
        condition = parse(entity, value.conditions, name="view")
        return qs.filter(record_q(condition, user=self.parent.user), narrowing_q(entity, condition))


class _ParameterForm(forms.Form):
    """A form of the fields that it is given."""

    def __init__(self, data: Any, fields: dict[str, forms.Field], prefix: str | None = None) -> None:
        super().__init__(data, prefix=prefix)
        self.fields = fields


class ParameterFilterSet(django_filters.FilterSet):
    """A FilterSet whose form has a field for each of our filters that is asked for, not for all there are,
    and is made without a class of its own for each request."""

    @cached_property
    def form(self) -> forms.Form:
        fields = {name: one.field for name, one in self.filters.items() if self._is_asked(name, one)}
        return _ParameterForm(self.data if self.is_bound else None, fields, self.form_prefix)

    @property
    def errors(self) -> ErrorDict:
        return self.form.errors if self.filters else ErrorDict()

    def _is_asked(self, name: str, one: django_filters.Filter) -> bool:
        """The library's own filters may have parameters of other names."""
        return name in self.data or not isinstance(one, ParameterFilter)


class EntityFilterSet(ParameterFilterSet):
    """The base of an entity's FilterSet: its columns with their operators, and what all can be asked.

    A class whose `Meta` names an entity is that entity's: lists, exports and statistics use it. Of the
    hundreds of filters there are, an instance has those that are asked for; methods find who asks in
    `self.user`. Unknown parameters are errors, but for those `ignored`, which somebody else reads.
    """

    archived = ArchivedFilter()
    view = SavedViewFilter()
    conditions = ConditionsFilter()
    assigned_to_me = TypedFilter(Boolean(), method="filter_assigned_to_me", help_text="Assigned to you.")
    unassigned = TypedFilter(
        Boolean(), field_name="assigned_to", lookup_expr="isnull", help_text="Assigned to nobody."
    )
    shared_with_me = TypedFilter(
        Boolean(), method="filter_shared_with_me", help_text="Shared with you or your team."
    )

    # Of an instance, the entity as who asks knows it.
    entity: Entity

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        entity = getattr(cls.__dict__.get("Meta"), "entity", None)
        if entity is not None:
            cls.entity = entity
            filtersets.register(entity.name, cls)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        queryset: QuerySet | None = None,
        *,
        request: Any = None,
        prefix: str | None = None,
        user: Any = None,
        ignored: Collection[str] = (),
    ) -> None:
        # Not the base's: it copies every filter there is.
        self.is_bound = data is not None
        self.data = QueryDict() if data is None else data
        self.queryset = type(self).entity.model.objects.all() if queryset is None else queryset
        self.request, self.form_prefix = request, prefix
        self.user = request.user if user is None and request is not None else user
        self.entity = type(self).entity.for_user(self.user)
        self.refused: list[FieldIssue] = []
        self.far_columns = FarColumns()
        self.filters = self._asked(ignored)

    @classmethod
    def get_filters(cls) -> dict[str, django_filters.Filter]:
        """Those of the columns, and over them those declared by hand."""
        if not hasattr(cls, "entity"):
            return cls.declared_filters.copy()
        found: dict[str, django_filters.Filter] = {}
        for name, column in cls.entity.by_input_name.items():
            if column.filterable:
                found[name] = ColumnFilter(column)
                found |= {f"{name}__{op}": ColumnFilter(column, op) for op in column.field_type.operators}
        for name, op in (("created_after", "after"), ("created_before", "before")):
            found[name] = ColumnFilter(cls.entity.by_name["created_at"], op)
        return found | cls.declared_filters

    def filter_assigned_to_me(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        mine = Q(assigned_to_id=self.user.pk)
        return queryset.filter(mine if value else ~mine)

    def filter_shared_with_me(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        shared = shared_with(self.entity.name, self.user, Permission.VIEW)
        mine = Q(pk__in=[]) if shared is None else Q(shared)
        return queryset.filter(mine if value else ~mine)

    @cached_property
    def issues(self) -> list[FieldIssue]:
        """What is wrong with the parameters."""
        found = [
            FieldIssue(name[:120], error.code or "invalid", str(error.message))
            for name, errors in self.errors.as_data().items()
            for error in errors
        ]
        return [*self.refused, *found]

    def is_valid(self) -> bool:
        return self.is_bound and not self.issues

    @property
    def checked(self) -> QuerySet:
        """The rows that the parameters name. Raises InvalidError."""
        if self.issues:
            raise InvalidError(self.issues)
        return self.qs

    @property
    def saved_view(self) -> SavedView | None:
        """The saved view that is asked for."""
        return self.form.cleaned_data["view"] if "view" in self.filters else None

    def filter_queryset(self, queryset: QuerySet) -> QuerySet:
        """Dates are those of whoever asks; what is archived is left out unless it is asked for."""
        if "archived" not in self.filters:
            queryset = queryset.filter(archived_at__isnull=True)
        if not self.filters:
            return queryset
        with in_zone_of(self.user):
            return super().filter_queryset(queryset)

    def _asked(self, ignored: Collection[str]) -> dict[str, django_filters.Filter]:
        columns = schema(self.entity, names=self.data)
        asked: dict[str, django_filters.Filter] = {}
        for name in self.data:
            if name in ignored:
                continue
            found = self._declared(name) or self._of_custom_field(columns, name)
            found = found or self._of_related(columns, name)
            if found is None:
                self.refused.append(self._unknown(columns, name))
            else:
                asked[name] = self._own(found)
        return asked

    def _declared(self, name: str) -> django_filters.Filter | None:
        """A filter of the class, unless it looks at what is hidden from who asks."""
        found = self.base_filters.get(name)
        return None if found is None or not self.entity.hidden.isdisjoint(read_by(found)) else found

    def _own(self, shared: django_filters.Filter) -> django_filters.Filter:
        found = copy.deepcopy(shared)
        found.model, found.parent = self.entity.model, self
        return found

    def _of_custom_field(self, columns: Mapping[str, Column], name: str) -> ColumnFilter | None:
        """A key of a custom field may itself hold "__"."""
        if not name.startswith(PREFIX):
            return None
        if name in columns:
            return ColumnFilter(columns[name])
        field, _, op = name.rpartition("__")
        known = columns.get(field)
        return ColumnFilter(known, op) if known and op in known.field_type.operators else None

    def _of_related(self, columns: Mapping[str, Column], name: str) -> ColumnFilter | None:
        """A field one reference away, such as `company__industry`, with its operator or without."""
        whole = related_column(columns, name, SEPARATOR, self.far_columns)
        if whole is not None:
            return ColumnFilter(whole)
        field, _, op = name.rpartition(SEPARATOR)
        known = related_column(columns, field, SEPARATOR, self.far_columns)
        return ColumnFilter(known, op) if known and op in known.field_type.operators else None

    def _unknown(self, columns: Mapping[str, Column], name: str) -> FieldIssue:
        field, _, op = name.rpartition("__")
        column = columns.get(field) or self.entity.by_input_name.get(field)
        column = column or related_column(columns, field, SEPARATOR, self.far_columns)
        about_related = unknown_related(columns, name, SEPARATOR, self.far_columns)
        is_reference = column is not None and isinstance(column.field_type, field_types.Reference)
        if column is not None and column.filterable and not (about_related and is_reference):
            known = ", ".join(column.field_type.operators)
            return FieldIssue(
                name[:120],
                "unknown_operator",
                gettext("Unknown operator %(op)s. Known: %(known)s.") % {"op": repr(op[:40]), "known": known},
            )
        if about_related:
            operators = ", ".join(field_types.Reference.operators)
            return FieldIssue(
                name[:120],
                "unknown",
                gettext("%(about_related)s Operators: %(operators)s.")
                % {"about_related": about_related, "operators": operators},
            )
        known = ", ".join(self.known_names(columns))
        return FieldIssue(
            name[:120],
            "unknown",
            gettext("Unknown filter. Known: %(known)s; each with __operator.") % {"known": known},
        )

    def known_names(self, columns: Mapping[str, Column]) -> list[str]:
        """What a list can be filtered by, without the operators."""
        asked = [name for name, one in self.base_filters.items() if getattr(one, "op", None) is None]
        named = [name for name in asked if self._declared(name) is not None]
        return sorted({*named, *(name for name, one in columns.items() if one.filterable)})


filtersets: Registry[type[EntityFilterSet]] = Registry("filterset")


def filterset_of(entity: Entity) -> type[EntityFilterSet]:
    """The FilterSet of an entity: its own, or one of its columns alone."""
    return filtersets.get(entity.name) or _made_for(entity.name)


@cache
def _made_for(name: str) -> type[EntityFilterSet]:
    entity = entities[name]
    return FilterSetMetaclass(f"{name.title()}FilterSet", (EntityFilterSet,), {"entity": entity})
