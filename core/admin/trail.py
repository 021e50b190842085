"""What happened and who is signed in: read-only pages for administrators."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.paginator import InfinitePaginator

from core.access import Action, AdminPolicy
from core.admin.captured import CapturedAdmin
from core.models import ApiKey, Change, FailedFeed, Session, User

ADMINISTRATORS = AdminPolicy()


class TrailAdmin(CapturedAdmin):
    """Base of pages that only show. Long tables are paged without counting them."""

    paginator = InfinitePaginator
    list_filter_submit = False

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return self.model._default_manager.order_by(*self.get_ordering(request))

    def may(self, request: HttpRequest, action: str, obj: Any = None) -> bool:
        return action == Action.VIEW and ADMINISTRATORS.allows(request.user, action)

    def has_end_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return ADMINISTRATORS.allows(request.user, Action.CHANGE)


@admin.register(Change)
class ChangeAdmin(TrailAdmin):
    list_display = ("at", "entity", "object_id", "kind", "source", "actor_id", "request_id")
    list_filter = ("kind", "source")
    search_fields = ("=object_id",)
    ordering = ("-id",)


@admin.register(FailedFeed)
class FailedFeedAdmin(TrailAdmin):
    list_display = ("at", "consumer", "entity", "attempts", "due_at", "error")
    list_filter = ("consumer", "entity")
    ordering = ("-id",)
    actions = ("try_again",)

    @admin.action(description="Try again now", permissions=["end"])
    def try_again(self, request: HttpRequest, queryset: QuerySet) -> None:
        due = FailedFeed.objects.filter(pk__in=queryset.values("pk")).update(due_at=timezone.now())
        self.message_user(request, f"{due} will be tried again within seconds.")


def _in_reach(request: HttpRequest) -> QuerySet[User]:
    """Whoever the administrator may change: a superuser's sessions and keys are for superusers to end."""
    return User.objects.visible_to(request.user, Action.CHANGE)


@admin.register(Session)
class SessionAdmin(TrailAdmin):
    list_display = ("user", "created_at", "last_used_at", "ip", "user_agent", "ended_at", "ended_because")
    list_filter = ("ended_because",)
    list_select_related = ("user",)
    search_fields = ("=user__username", "=ip")
    ordering = ("-last_used_at", "-id")
    exclude = ("refresh_digest",)
    actions = ("end",)

    @admin.action(description="End these sessions", permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet) -> None:
        theirs = Session.objects.filter(pk__in=queryset.values("pk"), user__in=_in_reach(request))
        ended = theirs.end(Session.Ending.BY_ADMINISTRATOR)
        self.message_user(request, f"{ended} ended.")


@admin.register(ApiKey)
class ApiKeyAdmin(TrailAdmin):
    list_display = ("name", "prefix", "user", "scopes", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("=user__username", "=prefix", "name")
    ordering = ("-id",)
    exclude = ("digest",)
    actions = ("revoke",)

    @admin.action(description="Revoke these keys", permissions=["end"])
    def revoke(self, request: HttpRequest, queryset: QuerySet) -> None:
        theirs = ApiKey.objects.filter(pk__in=queryset.values("pk"), user__in=_in_reach(request))
        live = theirs.filter(revoked_at=None)
        self.message_user(request, f"{live.update(revoked_at=timezone.now())} revoked.")
