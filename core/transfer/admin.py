"""Imports and exports: read-only pages for administrators, and the mappings users keep."""

from django.contrib import admin

from core.admin.read_only import ReadOnlyAdmin
from core.transfer.models import ExportJob, ImportIssue, ImportJob, SavedMapping


@admin.register(ImportJob)
class ImportJobAdmin(ReadOnlyAdmin):
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
    list_display = ("job", "kind", "row", "line", "object_id", "errors")
    list_filter = ("kind",)
    search_fields = ("=job__id",)
    ordering = ("-id",)


@admin.register(ExportJob)
class ExportJobAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "created_at", "user", "entity", "format", "status", "rows", "size", "expires_at",
    )  # fmt: skip
    list_filter = ("status", "entity", "format")
    list_select_related = ("user",)
    search_fields = ("=user__username",)
    ordering = ("-id",)


@admin.register(SavedMapping)
class SavedMappingAdmin(ReadOnlyAdmin):
    list_display = ("name", "entity", "owner", "updated_at")
    list_filter = ("entity",)
    list_select_related = ("owner",)
    search_fields = ("name", "=owner__username")
    ordering = ("name", "id")
