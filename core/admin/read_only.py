"""Base of admin pages that only show."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.paginator import InfinitePaginator

from core.access import AdminPolicy, Permission
from core.admin.captured import CapturedAdmin

ADMINISTRATORS = AdminPolicy()


class ReadOnlyAdmin(CapturedAdmin):
    """Base of pages that only show. Long tables are paged without counting them."""

    paginator = InfinitePaginator
    list_filter_submit = False

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return self.model._default_manager.order_by(*self.get_ordering(request))

    def may(self, request: HttpRequest, action: str, obj: Any = None) -> bool:
        return action == Permission.VIEW and ADMINISTRATORS.allows(request.user, action)

    def has_end_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return ADMINISTRATORS.allows(request.user, Permission.CHANGE)
