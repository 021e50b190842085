"""Webhooks in the admin site, to look at. Secrets are in no field shown here."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core.admin.navigation import AUTOMATE, Menu
from core.admin.read_only import ReadOnlyAdmin
from core.webhooks.models import WebhookDelivery, WebhookSubscription


@admin.register(WebhookSubscription)
class WebhookSubscriptionAdmin(ReadOnlyAdmin):
    menu = Menu(AUTOMATE, "webhook", 40)
    menu_title = _("Webhooks")
    list_display = ("name", "url", "is_enabled", "disabled_reason", "owner", "last_success_at")
    list_filter = ("is_enabled",)
    ordering = ("name", "id")
    fields = (
        "name", "url", "events", "conditions", "payload", "is_enabled", "disabled_reason", "owner",
        "failing_since", "last_success_at", "created_at", "updated_at",
    )  # fmt: skip


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    menu = Menu(AUTOMATE, "sync_alt", 41)
    list_display = ("id", "event", "lane", "status", "attempts", "response_status", "error", "created_at")
    list_filter = ("status",)
    ordering = ("-id",)
    fields = (
        "key", "event", "lane", "status", "attempts", "due_at", "response_status", "error", "entity",
        "object_id", "created_at", "finished_at",
    )  # fmt: skip
