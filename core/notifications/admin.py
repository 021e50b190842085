"""Notifications and their deliveries, read-only for administrators; and everybody's own settings."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_lazy

from core.admin.navigation import SYSTEM, Menu
from core.admin.pages import pages
from core.admin.read_only import ReadOnlyAdmin
from core.notifications import inbox_page, settings_page
from core.notifications.models import Delivery, Notification, PushSubscription, SuppressedAddress
from core.notifications.wording import title_of

pages.register("settings", settings_page.page)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    menu = Menu(SYSTEM, "notifications", 20)
    list_display = ("created_at", "recipient", "shown_type", "shown_title", "count", "read_at", "archived_at")
    list_filter = ("type",)
    list_select_related = ("recipient",)
    search_fields = ("=recipient__username",)
    ordering = ("-id",)

    @admin.display(description=gettext_lazy("Type"), ordering="type")
    def shown_type(self, row: Notification) -> str:
        return inbox_page.type_title(row.type)

    @admin.display(description=gettext_lazy("Title"))
    def shown_title(self, row: Notification) -> str:
        return title_of(row)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    menu = Menu(SYSTEM, "send", 21)
    list_display = (
        "created_at",
        "notification",
        "channel",
        "status",
        "attempts",
        "due_at",
        "sent_at",
        "error",
    )
    list_filter = ("channel", "status")
    list_select_related = ("notification",)
    search_fields = ("=notification__recipient__username",)
    ordering = ("-id",)


@admin.register(SuppressedAddress)
class SuppressedAddressAdmin(ReadOnlyAdmin):
    menu = Menu(SYSTEM, "unsubscribe", 22)
    list_display = ("address", "channel", "reason", "created_at")
    list_filter = ("channel",)
    search_fields = ("address",)
    ordering = ("-id",)
    actions = ("enable",)

    @admin.action(description=gettext_lazy("Let these addresses be tried again"), permissions=["end"])
    def enable(self, request: HttpRequest, queryset: QuerySet) -> None:
        count, _ = SuppressedAddress.objects.filter(pk__in=queryset.values("pk")).delete()
        self.message_user(request, gettext("%(count)s enabled.") % {"count": count})


@admin.register(PushSubscription)
class PushSubscriptionAdmin(ReadOnlyAdmin):
    menu = Menu(SYSTEM, "phonelink_ring", 23)
    list_display = ("user", "user_agent", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("=user__username",)
    ordering = ("-id",)
    exclude = ("p256dh", "auth", "endpoint")
