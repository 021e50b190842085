"""Custom fields, saved views and field rights in the admin site."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget

from core import labels
from core.access import Role
from core.admin.captured import CapturedAdmin, CapturedForm
from core.admin.forms import OVERRIDES
from core.admin.home import list_url
from core.admin.navigation import DATA, PEOPLE, Menu
from core.admin.ordering import Ordered, order_page
from core.conditions.models import SavedView
from core.conditions.views import check_view
from core.entities import custom_field_definitions, entities, limiting
from core.entities.field_rights import FieldRight
from core.entities.models import CustomField


class EntityForm(CapturedForm):
    """`entity` is one of those there are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "entity" in self.fields:
            names = [(entity.name, labels.titled(entity.name)) for entity in entities]
            self.fields["entity"] = forms.ChoiceField(choices=names, widget=UnfoldAdminSelectWidget)


@admin.register(CustomField)
class CustomFieldAdmin(CapturedAdmin):
    menu = Menu(DATA, "tune", 50)
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
    actions_list = ("order",)

    @action(description=gettext_lazy("Order"), permissions=["change"], url_path="order", icon="swap_vert")
    def order(self, request: HttpRequest) -> HttpResponse:
        """The fields of each entity are put into the order in which forms show them."""
        rows = CustomField.objects.order_by("position", "id")
        lists = [
            Ordered(
                one.name, capfirst(str(one.model._meta.verbose_name_plural)), rows.filter(entity=one.name)
            )
            for one in entities
        ]
        shown = [one for one in lists if one.rows.exists()]
        return order_page(self, request, _("Order of custom fields"), shown, list_url(CustomField))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What values are stored under stays as it is."""
        return custom_field_definitions.FIXED if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        custom_field_definitions.check(obj, CustomField.objects.get(pk=obj.pk) if change else None)
        super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        custom_field_definitions.forget_values(obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        for definition in queryset:
            self.delete_model(request, definition)


@admin.register(SavedView)
class SavedViewAdmin(CapturedAdmin):
    menu = Menu(DATA, "bookmark", 51)
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
        check_view(obj, request.user, SavedView.objects.get(pk=obj.pk) if change else None)
        super().save_model(request, obj, form, change)


class FieldRightForm(EntityForm):
    """Of administrators, who are never limited, there is no right."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "field" not in self.fields:
            return  # to look at
        roles = [(role.value, role.label) for role in Role if role != Role.ADMIN]
        self.fields["role"] = forms.ChoiceField(choices=roles, widget=UnfoldAdminSelectWidget)
        known = "; ".join(f"{entity.name}: {', '.join(limiting.limitable(entity))}" for entity in entities)
        self.fields["field"].help_text = _("By its name in the API. %(known)s.") % {"known": known}


@admin.register(FieldRight)
class FieldRightAdmin(CapturedAdmin):
    """Fields that are hidden from a role, or read-only for it."""

    menu = Menu(PEOPLE, "visibility_off", 30)
    form = FieldRightForm
    list_display = ("role", "entity", "field", "access", "updated_at")
    list_filter = ("role", "entity", "access")
    search_fields = ("field",)
    ordering = ("role", "entity", "field")
    fields = ("role", "entity", "field", "access")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        limiting.check(obj)
        super().save_model(request, obj, form, change)
