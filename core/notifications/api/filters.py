"""Filters of the inbox, and of addresses that nothing is sent to."""

from django.db.models import QuerySet

from core.api.filtersets import ResourceFilterSet
from core.conditions.filters import TypedFilter
from core.entities.field_types import Boolean
from core.notifications.models import Notification, SuppressedAddress


class NotificationFilterSet(ResourceFilterSet):
    """What was archived is in the list only where it is asked for."""

    unread = TypedFilter(Boolean(), field_name="read_at", lookup_expr="isnull")
    archived = TypedFilter(Boolean(), method="filter_archived")

    class Meta:
        model = Notification
        fields = ["type"]

    def filter_archived(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        return queryset.filter(archived_at__isnull=not value)

    def filter_queryset(self, queryset: QuerySet) -> QuerySet:
        if not self.form.cleaned_data.get("archived"):
            queryset = queryset.filter(archived_at=None)
        return super().filter_queryset(queryset)


class SuppressedAddressFilterSet(ResourceFilterSet):
    class Meta:
        model = SuppressedAddress
        fields = ["channel"]
