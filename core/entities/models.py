"""Tables of what is the same for all entities: their custom fields, whose turn it is to be given one, the
former ids of those that were merged, and the rules by which duplicates are found. Field rights are in
core.entities.field_rights."""

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.access import Permission, ReadAllPolicy, VisibleManager
from core.entities.field_rights import FieldRight  # noqa: F401  (a model)
from core.entities.record_counts import RecordCount  # noqa: F401  (a model)
from core.entities.usage import UsageTarget
from core.labels import label
from core.models.capture import captured
from core.models.fields import choice, text


class CustomField(models.Model):
    """A typed field of one entity, addressed as `custom_fields.<key>`."""

    policy = ReadAllPolicy(write=Permission.CONFIGURE)

    class Type(models.TextChoices):
        TEXT = "text", gettext_lazy("Text")
        NUMBER = "number", gettext_lazy("Number")
        MONEY = "money", gettext_lazy("Money")
        DATE = "date", gettext_lazy("Date")
        DATETIME = "datetime", gettext_lazy("Datetime")
        BOOLEAN = "boolean", gettext_lazy("Boolean")
        CHOICE = "choice", gettext_lazy("Choice")
        MULTI_CHOICE = "multi_choice", gettext_lazy("Multi Choice")
        USER = "user", gettext_lazy("User")
        URL = "url", gettext_lazy("Url")

    entity = models.CharField(max_length=40)
    key = models.CharField(
        max_length=60,
        validators=[
            RegexValidator(
                r"^[a-z][a-z0-9_]*\Z", gettext_lazy("Use lower-case letters, digits and underscores.")
            )
        ],
    )
    label = models.CharField(max_length=120)
    type = models.CharField(max_length=12, choices=Type.choices)
    choices = ArrayField(models.CharField(max_length=120), blank=True, default=list)
    required = models.BooleanField(default=False)
    unique = models.BooleanField(default=False)
    searchable = models.BooleanField(default=False)
    # Whether lead scoring may learn from it.
    scorable = models.BooleanField(default=True)
    default = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    help_text = models.CharField(max_length=300, blank=True)
    position = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["entity", "position", "id"]
        constraints = [models.UniqueConstraint(fields=["entity", "key"], name="custom_field_unique")]
        triggers = captured("custom_field", untracked=("created_at",))

    def __str__(self) -> str:
        return f"{self.entity}.{self.key}"

    def usage_target(self) -> UsageTarget:
        """How definitions name this field."""
        return UsageTarget(
            format_lazy(gettext_lazy("The custom field {key}"), key=self.key),
            name=f"custom_fields.{self.key}",
            entity=self.entity,
        )

    def clean(self) -> None:
        """Choices belong to choice types, and only to them."""
        takes_choices = self.type in (self.Type.CHOICE, self.Type.MULTI_CHOICE)
        if takes_choices != bool(self.choices):
            message = (
                _("A field of type %(type)s needs choices.")
                if takes_choices
                else _("A field of type %(type)s takes no choices.")
            )
            raise ValidationError({"choices": message % {"type": label(self.type)}})


class AssignmentTurn(models.Model):
    """Whose turn it was last among `people` that an entity's records are given to one after the other.

    `people` names a team ("team:5") or a set of users ("users:4,5", in order of their ids; a digest of it
    where that would be long).
    """

    entity = models.CharField(max_length=40)
    people = models.CharField(max_length=100)
    last_user_id = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entity", "people"], name="assignment_turn_unique")]

    def __str__(self) -> str:
        return f"{self.entity}: {self.people}"


class RecordAlias(models.Model):
    """Another id of a record (`entity`, `object_id`), kept when records are merged: the id of one that was
    merged into it (None: its own), with the external id of that one.

    No foreign keys: core names no entity, and an alias outlives the record that it was the id of.
    """

    entity = models.CharField(max_length=40)
    object_id = models.BigIntegerField()
    merged_id = models.BigIntegerField(null=True)
    external_id = text(120)
    merge_id = models.BigIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["entity", "object_id"], name="alias_of_record"),
            models.Index(
                fields=["entity", "external_id"],
                name="alias_external_id",
                condition=~models.Q(external_id=""),
            ),
            models.Index(fields=["merge_id"], name="alias_of_merge"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["entity", "merged_id"],
                name="alias_merged_once",
                condition=models.Q(merged_id__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.entity} {self.merged_id or self.external_id} is {self.object_id}"


class DuplicateRule(models.Model):
    """What makes a new record of an entity a possible duplicate, and what happens then.

    `compare` is a comparison that the entity declares, or `custom_fields.<key>`. With `across` records are
    compared with those of another entity as well, in both directions. What can be is checked by
    core.entities.duplicate_rules.
    """

    class Match(models.TextChoices):
        EXACT = "exact", gettext_lazy("Exact")
        FUZZY = "fuzzy", gettext_lazy("Fuzzy")

    class OnCreate(models.TextChoices):
        ALLOW = "allow", gettext_lazy("Allow")
        WARN = "warn", gettext_lazy("Warn")
        REFUSE = "refuse", gettext_lazy("Refuse")

    policy = ReadAllPolicy(write=Permission.CONFIGURE)

    name = models.CharField(max_length=120)
    entity = models.CharField(max_length=40)
    compare = models.CharField(max_length=80)
    match = choice(Match.choices, Match.EXACT)
    # How alike fuzzy texts must be: the share of their trigrams that they have in common.
    threshold = models.FloatField(
        default=0.6, db_default=0.6, validators=[MinValueValidator(0.3), MaxValueValidator(1)]
    )
    across = text(40)
    on_create = choice(OnCreate.choices, OnCreate.WARN)
    is_active = models.BooleanField(default=True, db_default=True)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    objects = VisibleManager()

    class Meta:
        ordering = ["entity", "id"]
        constraints = [models.UniqueConstraint(fields=["name"], name="duplicate_rule_name_unique")]
        triggers = captured("duplicate_rule", untracked=("created_at", "updated_at"))

    def __str__(self) -> str:
        return self.name
