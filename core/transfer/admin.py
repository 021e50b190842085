"""Imports and exports: read-only pages for administrators, and the mappings users keep."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core.admin import home as home_page
from core.admin.navigation import DATA, Menu
from core.admin.read_only import ReadOnlyAdmin
from core.transfer import home
from core.transfer.models import ExportJob, ImportIssue, ImportJob, SavedMapping

home_page.parts.register("transfer", home_page.Builder(70, home.build))


@admin.register(ImportJob)
class ImportJobAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "upload_file", 10)
    menu_title = _("Imports")
    list_display = (
        "id", "created_at", "user", "kind", "entity", "file_name", "status", "read", "created", "updated",
        "unchanged", "skipped", "failed", "finished_at",
    )  # fmt: skip
    list_filter = ("status", "kind", "entity")
    list_select_related = ("user",)
    search_fields = ("file_name", "=user__username", "=file_hash")
    ordering = ("-id",)


@admin.register(ImportIssue)
class ImportIssueAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "rule_folder", 11)
    menu_title = _("Import issues")
    list_display = ("job", "kind", "row", "line", "object_id", "errors")
    list_filter = ("kind",)
    search_fields = ("=job__id",)
    ordering = ("-id",)


@admin.register(ExportJob)
class ExportJobAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "download", 20)
    menu_title = _("Exports")
    list_display = (
        "id", "created_at", "user", "entity", "format", "status", "rows", "size", "expires_at",
    )  # fmt: skip
    list_filter = ("status", "entity", "format")
    list_select_related = ("user",)
    search_fields = ("=user__username",)
    ordering = ("-id",)


@admin.register(SavedMapping)
class SavedMappingAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "swap_horiz", 12)
    list_display = ("name", "entity", "owner", "updated_at")
    list_filter = ("entity",)
    list_select_related = ("owner",)
    search_fields = ("name", "=owner__username")
    ordering = ("name", "id")
