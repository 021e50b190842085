"""Definitions of the fields an organisation adds to an entity; values live in `custom_fields`."""

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import RegexValidator
from django.db import models

from core.access import Permission, ReadAllPolicy, VisibleManager
from core.models.capture import captured


class CustomField(models.Model):
    """A typed field of one entity, addressed as `custom_fields.<key>`."""

    policy = ReadAllPolicy(write=Permission.CONFIGURE)

    class Type(models.TextChoices):
        TEXT = "text"
        NUMBER = "number"
        MONEY = "money"
        DATE = "date"
        DATETIME = "datetime"
        BOOLEAN = "boolean"
        CHOICE = "choice"
        MULTI_CHOICE = "multi_choice"
        USER = "user"
        URL = "url"

    entity = models.CharField(max_length=40)
    key = models.CharField(
        max_length=60,
        validators=[RegexValidator(r"^[a-z][a-z0-9_]*\Z", "Use lower-case letters, digits and underscores.")],
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

    def clean(self) -> None:
        """Choices belong to choice types, and only to them."""
        takes_choices = self.type in (self.Type.CHOICE, self.Type.MULTI_CHOICE)
        if takes_choices != bool(self.choices):
            word = "needs" if takes_choices else "takes no"
            raise ValidationError({"choices": f"A field of type {self.type} {word} choices."})
