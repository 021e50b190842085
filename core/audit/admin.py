"""What happened: read-only pages for administrators."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from core.admin.read_only import ReadOnlyAdmin
from core.changes.models import Change, FailedDispatch


@admin.register(Change)
class ChangeAdmin(ReadOnlyAdmin):
    list_display = ("at", "entity", "object_id", "kind", "source", "actor_id", "request_id")
    list_filter = ("kind", "source")
    search_fields = ("=object_id",)
    ordering = ("-id",)


@admin.register(FailedDispatch)
class FailedDispatchAdmin(ReadOnlyAdmin):
    list_display = ("at", "consumer", "entity", "attempts", "due_at", "error")
    list_filter = ("consumer", "entity")
    ordering = ("-id",)
    actions = ("try_again",)

    @admin.action(description="Try again now", permissions=["end"])
    def try_again(self, request: HttpRequest, queryset: QuerySet) -> None:
        due = FailedDispatch.objects.filter(pk__in=queryset.values("pk")).update(due_at=timezone.now())
        self.message_user(request, f"{due} will be tried again within seconds.")
