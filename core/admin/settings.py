"""Custom fields and saved views in the admin site."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSelectWidget

from core.admin.captured import CapturedAdmin, CapturedForm
from core.admin.forms import OVERRIDES
from core.entities import entities
from core.models import CustomField, SavedView


class EntityForm(CapturedForm):
    """`entity` is one of those there are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "entity" in self.fields:
            names = [(entity.name, entity.name.capitalize()) for entity in entities]
            self.fields["entity"] = forms.ChoiceField(choices=names, widget=UnfoldAdminSelectWidget)


@admin.register(CustomField)
class CustomFieldAdmin(CapturedAdmin):
    form = EntityForm
    formfield_overrides = OVERRIDES
    list_display = ("key", "entity", "label", "type", "required", "unique", "searchable", "position")
    list_filter = ("entity", "type", "required")
    search_fields = ("key", "label")
    ordering = ("entity", "position", "id")
    fields = (
        "entity",
        "key",
        "label",
        "type",
        "choices",
        "default",
        "help_text",
        "position",
        ("required", "unique", "searchable", "scorable"),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What values are stored under stays as it is."""
        return ("entity", "key", "type") if obj else ()


@admin.register(SavedView)
class SavedViewAdmin(CapturedAdmin):
    form = EntityForm
    formfield_overrides = OVERRIDES
    list_display = ("name", "entity", "owner", "is_shared", "updated_at")
    list_filter = ("entity", "is_shared")
    list_select_related = ("owner",)
    search_fields = ("name",)
    fields = (
        "name",
        "entity",
        "owner",
        "is_shared",
        "conditions",
        "search",
        "ordering",
        "fields",
        "updated_at",
    )
    readonly_fields = ("owner", "updated_at")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.owner = request.user
        super().save_model(request, obj, form, change)
