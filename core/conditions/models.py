"""Lists people come back to."""

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from core.access import PrivateOrSharedPolicy, VisibleManager


class SavedView(models.Model):
    """A named filter of an entity's list, in the condition language, with ordering and columns."""

    # What shares of views name them by (core.sharing).
    entity_name = "saved_view"
    policy = PrivateOrSharedPolicy(entity=entity_name)

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    entity = models.CharField(max_length=40)
    name = models.CharField(max_length=120)
    conditions = models.JSONField(default=dict, blank=True)
    search = models.CharField(max_length=200, blank=True)
    ordering = models.CharField(max_length=200, blank=True)
    fields = ArrayField(models.CharField(max_length=120), blank=True, default=list)
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = VisibleManager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "entity", "name"], name="saved_view_name_unique"),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="end_shares",
                level=pgtrigger.Row,
                when=pgtrigger.After,
                operation=pgtrigger.Delete,
                func=(
                    "DELETE FROM core_share WHERE entity = 'saved_view' AND object_id = OLD.id; RETURN NULL;"
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.name
