"""Webhooks in the admin site: what was sent and what was answered, tested and sent again. Secrets are in no
field shown here. Who sees and operates what is as over the API."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.decorators import action
from unfold.paginator import InfinitePaginator

from core.admin import columns, formats, home
from core.admin.home import page_url
from core.admin.navigation import AUTOMATE, Menu
from core.admin.operated import OperatedAdmin
from core.webhooks import operations
from core.webhooks.models import WebhookDelivery, WebhookSubscription

TONES = {"delivered": "good", "failed": "bad", "cancelled": "warn", "queued": "info", "sending": "info"}
# Deliveries that a webhook's page names, and days of failures that are sent again.
LATEST, DAYS = 10, 7


@admin.register(WebhookSubscription)
class WebhookSubscriptionAdmin(OperatedAdmin):
    menu = Menu(AUTOMATE, "webhook", 40)
    menu_title = gettext_lazy("Webhooks")
    paginator = InfinitePaginator
    list_display = ("name", "url", "is_enabled", "disabled_reason", "shown_owner", "shown_success")
    shown_owner = columns.person("owner")
    shown_success = columns.moment("last_success_at", gettext_lazy("last success"))
    list_filter = ("is_enabled",)
    list_select_related = ("owner",)
    ordering = ("name", "id")
    fields = (
        "name", "url", "events", "conditions", "payload", "is_enabled", "disabled_reason", "owner",
        "failing_since", "last_success_at", "created_at", "updated_at",
    )  # fmt: skip
    change_form_before_template = "admin/core/webhook.html"
    actions_detail = ("send_test", "redeliver_failed", "enable")

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """With the latest deliveries."""
        response = super().changeform_view(request, object_id, form_url, extra_context)
        shown = getattr(response, "context_data", None) or {}
        if webhook := shown.get("original"):
            rows = webhook.deliveries.order_by("-id")[:LATEST]
            shown["deliveries"] = [_shown_delivery(row) for row in rows]
            shown["deliveries_url"] = home.list_url(WebhookDelivery, subscription__id__exact=webhook.pk)
        return response

    def has_enable_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may_in(request, object_id, Q(is_enabled=False))

    @action(description=gettext_lazy("Send a test"), permissions=["operate"], url_path="test", icon="science")
    def send_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def work(webhook: WebhookSubscription) -> str:
            made = operations.send_test(webhook)
            return _("Delivery %(id)s of a test event is on its way.") % {"id": made.pk}

        return self.asked(request, object_id, _("Send a test to %(name)s"), work)

    @action(
        description=gettext_lazy("Redeliver failures"),
        permissions=["operate"],
        url_path="redeliver",
        icon="replay",
    )
    def redeliver_failed(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def work(webhook: WebhookSubscription) -> str:
            count = operations.redeliver_failed(webhook, timezone.now() - timedelta(days=DAYS))
            return ngettext("%(n)s is sent again.", "%(n)s are sent again.", count) % {"n": count}

        title = _("Send again what failed at %(name)s in the last 7 days")
        return self.asked(request, object_id, title, work)

    @action(
        description=gettext_lazy("Switch on"), permissions=["enable"], url_path="enable", icon="toggle_on"
    )
    def enable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def work(webhook: WebhookSubscription) -> str:
            operations.enable(webhook)
            return _("It is sent events again.")

        return self.asked(request, object_id, _("Switch on %(name)s"), work)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(OperatedAdmin):
    menu = Menu(AUTOMATE, "sync_alt", 41)
    paginator = InfinitePaginator
    list_display = (
        "id", "event", "lane", "shown_status", "attempts", "response_status", "error", "shown_created",
    )  # fmt: skip
    shown_status = columns.choice_badge("status", TONES)
    shown_created = columns.moment("created_at")
    list_filter = ("status",)
    ordering = ("-id",)
    fields = (
        "key", "event", "lane", "status", "attempts", "due_at", "response_status", "error", "entity",
        "object_id", "created_at", "finished_at",
    )  # fmt: skip
    actions_detail = ("redeliver",)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return lookup == "subscription__id__exact" or super().lookup_allowed(lookup, value, request)

    def has_redeliver_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may_in(request, object_id, Q(status__in=operations.ENDED))

    @action(
        description=gettext_lazy("Redeliver"), permissions=["redeliver"], url_path="redeliver", icon="replay"
    )
    def redeliver(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def work(delivery: WebhookDelivery) -> str:
            operations.redeliver(delivery)
            return _("It is sent again, under the same webhook-id.")

        return self.asked(request, object_id, _("Send %(name)s again"), work)


def _shown_delivery(row: WebhookDelivery) -> dict[str, Any]:
    return {
        "url": page_url(WebhookDelivery, row.pk),
        "title": f"{row.event} {row.pk}",
        "badge": formats.badge(row.get_status_display(), TONES.get(row.status, "neutral")),
        "when": formats.when(row.created_at),
        "error": row.error,
    }
