"""The base of every entity: who owns it, its version, archive mark, tags and custom fields."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from django.apps import apps
from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Cast, Now
from django.utils import timezone

from core.access import OwnershipPolicy, VisibleQuerySet
from core.models.capture import captured, versioned
from core.models.counted import CountedBy, counts_kept
from core.models.fields import text, texts
from core.models.folding import Digits, Fold, WordStarts

# Written by the system beside every change; not changes themselves.
UNTRACKED = ("version", "updated_at", "search_text")


@dataclass(frozen=True)
class Breakdown:
    """Figures of each combination of some columns' values."""

    model: Any
    rows: list[dict[str, Any]]

    def total(self, figure: str = "number", **having: Any) -> Any:
        """The sum of a figure over the rows that have these values."""
        return sum(
            row[figure] or 0 for row in self.rows if all(row[name] == value for name, value in having.items())
        )

    def counts(self, field: str) -> dict[str, int]:
        """How many rows have each value of `field`; every choice is there, also with none."""
        found = {str(value): 0 for value, _ in self.model._meta.get_field(field).choices or ()}
        for row in self.rows:
            found[row[field]] = found.get(row[field], 0) + row["number"]
        return found


class RecordQuerySet(VisibleQuerySet):
    def unarchived(self) -> "RecordQuerySet":
        """The records that are not archived."""
        return self.filter(archived_at=None)

    def statistics(self) -> dict[str, Any]:
        """The statistics of an entity that declares none of its own."""
        return {"total": self.count()}

    def breakdown(self, *fields: str, **figures: Any) -> "Breakdown":
        """How many rows have each combination of the fields' values, and sums or counts of them by name: one
        statement, which reads each row once."""
        rows = self.order_by().values(*fields).annotate(number=models.Count("pk"), **figures)
        return Breakdown(self.model, list(rows))

    def top(self, field: str, limit: int) -> dict[str, int]:
        """The `limit` commonest values of a text field and how often each occurs."""
        counted = self.exclude(**{field: ""}).order_by().values_list(field).annotate(n=models.Count("pk"))
        return dict(counted.order_by("-n", field)[:limit])


def to_user(**options: Any) -> models.ForeignKey:
    """A reference to a user, without an index of its own: `record_indexes` has better ones."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        **options,
    )


class Record(models.Model):
    """Abstract base of the entities (lead, contact, company, opportunity, task)."""

    # That of each entity knows its name, by which its records are shared.
    policy: ClassVar[OwnershipPolicy] = OwnershipPolicy()
    # What the rules about duplicates found when this instance was created (core.entities.duplicate_rules).
    duplicates_found: ClassVar[Sequence[Any]] = ()
    # Whether its reader does not see it: this instance has the id alone (core.entities.blanking).
    is_unseen: ClassVar[bool] = False

    owner = to_user()
    assigned_to = to_user()
    created_by = to_user(editable=False)
    external_id = text(120)
    tags = texts(models.CharField(max_length=60))
    custom_fields = models.JSONField(
        blank=True, default=dict, db_default=models.Value({}, models.JSONField()), encoder=DjangoJSONEncoder
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    version = models.IntegerField(default=1, db_default=1, editable=False)

    objects = models.Manager.from_queryset(RecordQuerySet)()

    class Meta:
        abstract = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "policy" not in cls.__dict__ and hasattr(cls, "entity_name"):
            cls.policy = OwnershipPolicy(entity=cls.entity_name)

    @property
    def etag(self) -> str:
        return etag_of(self.pk, self.version)


@cache
def record_models() -> dict[str, Any]:
    """The models of records by entity name; only once all models are loaded."""
    found: list[Any] = [m for m in apps.get_models() if issubclass(m, Record)]
    return {model.entity_name: model for model in found}


def etag_of(pk: int, version: int) -> str:
    """The strong entity tag of a record's version (RFC 9110 section 8.8.3)."""
    return f'"{pk}-{version}"'


class SearchText(models.Func):
    """Several texts, blanks between them, as an immutable expression an index can be made of."""

    arity = None
    template = "%(expressions)s"
    arg_joiner = " || ' ' || "
    output_field = models.TextField()


def search_text(
    *columns: str, lists: Sequence[str] = (), phones: Sequence[str] = ()
) -> models.GeneratedField:
    """A stored column of all searched text, folded once, a blank before and behind each column, and of
    `phones` the digits; `record_indexes` puts a trigram index on it."""
    texts = [Fold(SearchText(*columns)), *map(Fold, lists), *map(Digits, phones)]
    parts = [models.Value(""), *texts, models.Value("")]
    return models.GeneratedField(
        expression=SearchText(*parts), output_field=models.TextField(), db_persist=True
    )


def search_text_without(model: Any, hidden: frozenset[str]) -> models.Expression:
    """The model's search text as it would be without these columns; not stored, and so in no index."""
    parts = model._meta.get_field("search_text").expression.get_source_expressions()
    shown = [_without(part, hidden) for part in parts]
    return _ShownText(*(part for part in shown if part is not None), models.Value(""))


class _ShownText(SearchText):
    """Within other expressions."""

    template = "(%(expressions)s)"


def _without(part: Any, hidden: frozenset[str]) -> Any:
    """A part of a search text without these columns; None where nothing is left of it."""
    if isinstance(part, models.F):
        return None if str(part.name) in hidden else part  # type: ignore[attr-defined]  # the stub lacks it
    if not isinstance(part, models.Func):
        return part
    left = [one for one in (_without(p, hidden) for p in part.get_source_expressions()) if one is not None]
    return type(part)(*left) if left else None


def custom_text() -> Fold:
    """All custom fields of a record as one folded text, which `record_indexes` has an index of."""
    return Fold(Cast("custom_fields", models.TextField()))


HAS_CUSTOM_FIELDS = ~models.Q(custom_fields={})


def record_indexes(name: str) -> list[models.Index]:
    """The indexes every entity needs: recency, owner, assignee, tags, search, custom fields."""
    live = models.Q(archived_at=None)
    return [
        models.Index(fields=["-created_at", "-id"], name=f"{name}_recent", condition=live),
        # With the archive mark inside, what a user sees is counted without looking at the table.
        models.Index(fields=["owner", "-id"], name=f"{name}_by_owner", include=["archived_at"]),
        models.Index(fields=["assigned_to", "-id"], name=f"{name}_by_assignee", include=["archived_at"]),
        GinIndex(fields=["tags"], name=f"{name}_tags"),
        GinIndex(OpClass("search_text", name="gin_trgm_ops"), name=f"{name}_search"),
        GinIndex(WordStarts("search_text"), name=f"{name}_word_starts"),
        GinIndex(OpClass("custom_fields", name="jsonb_path_ops"), name=f"{name}_custom"),
        GinIndex(
            OpClass(custom_text(), name="gin_trgm_ops"),
            name=f"{name}_custom_search",
            condition=HAS_CUSTOM_FIELDS,
        ),
    ]


def ordered_index(name: str, column: str) -> models.Index:
    """The index for ordering and comparing by a column that may be empty, where those with a value are
    read."""
    return models.Index(fields=[column, "id"], name=name, condition=models.Q(**{f"{column}__isnull": False}))


def record_constraints(name: str) -> list[models.BaseConstraint]:
    """What holds for every entity: no two living records are the same one of another system."""
    return [
        models.UniqueConstraint(
            fields=["external_id"],
            name=f"{name}_external_unique",
            condition=~models.Q(external_id="") & models.Q(archived_at=None),
            violation_error_code="unique",
        )
    ]


def record_triggers(
    entity: str,
    *,
    derived: tuple[str, ...] = (),
    untracked: tuple[str, ...] = (),
    counted_by: CountedBy = CountedBy(),  # noqa: B008 (it is never changed)
) -> list[Any]:
    """Change capture, version raising and kept counts for an entity's table.

    `derived` fields change without raising the version, `untracked` ones without a change row.
    """
    return [
        *captured(entity, untracked=(*UNTRACKED, *untracked), archivable=True),
        versioned(derived),
        *counts_kept(entity, counted_by),
    ]
