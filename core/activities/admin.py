"""Activities and comments in the admin site, to look at."""

from django.contrib import admin

from core.activities.models import Activity, Comment
from core.admin.read_only import ReadOnlyAdmin


@admin.register(Activity)
class ActivityAdmin(ReadOnlyAdmin):
    list_display = ("happened_at", "entity", "object_id", "type", "direction", "subject", "author")
    list_filter = ("entity", "type", "direction")
    list_select_related = ("author",)
    search_fields = ("=object_id", "subject")
    ordering = ("-happened_at", "-id")


@admin.register(Comment)
class CommentAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "entity", "object_id", "author", "body", "edited_at")
    list_filter = ("entity",)
    list_select_related = ("author",)
    search_fields = ("=object_id",)
    ordering = ("-id",)
