"""AI clients in the admin site: what they may, what they did, and taking it back."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action

from core.admin import verbs
from core.admin.captured import CapturedAdmin
from core.admin.navigation import PEOPLE, Menu
from core.admin.read_only import ADMINISTRATORS, ReadOnlyAdmin
from core.agents import sessions
from core.agents.models import AgentGrant, AgentSession
from core.agents.undoing import effects, undo
from core.changes.models import Change

SHOWN = 200


@admin.register(AgentGrant)
class AgentGrantAdmin(CapturedAdmin):
    """Grants: administrators change their budgets and end them; they are made by users alone."""

    menu = Menu(PEOPLE, "smart_toy", 60)
    menu_title = gettext_lazy("AI clients")
    list_display = (
        "name",
        "user",
        "api_key",
        "reads_per_hour",
        "writes_per_hour",
        "dry_run",
        "last_used_at",
        "revoked_at",
    )
    list_filter = ("dry_run",)
    list_select_related = ("user", "api_key")
    search_fields = ("name", "=user__username")
    ordering = ("-id",)
    fields = (
        ("name", "user"), ("api_key", "held"), ("reads_per_hour", "writes_per_hour"),
        ("dry_run", "expires_at"),
        ("created_at", "last_used_at", "revoked_at"),
    )  # fmt: skip
    readonly_fields = (
        "name",
        "user",
        "api_key",
        "held",
        "expires_at",
        "created_at",
        "last_used_at",
        "revoked_at",
    )
    actions = ("revoke",)

    def may(self, request: HttpRequest, action: str, obj: Any = None) -> bool:
        return ADMINISTRATORS.allows(request.user, action)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=gettext_lazy("Scopes"))
    def held(self, grant: AgentGrant) -> str:
        return ", ".join(grant.held_scopes)

    @admin.action(description=gettext_lazy("Revoke"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet) -> None:
        for grant in queryset:
            sessions.revoke(grant)
        self.message_user(request, _("They are refused from their next call on."), messages.SUCCESS)


@admin.register(AgentSession)
class AgentSessionAdmin(ReadOnlyAdmin):
    """Sessions, with what each changed; they are undone here as over the API."""

    menu = Menu(PEOPLE, "history", 61)
    menu_title = gettext_lazy("Sessions of AI clients")
    list_display = ("started_at", "grant", "calls", "last_used_at", "ended_at", "undone_at", "undone_by")
    list_select_related = ("grant__user", "undone_by")
    search_fields = ("=grant__user__username", "grant__name")
    fields = (
        "grant",
        "started_at",
        "last_used_at",
        "ended_at",
        "calls",
        "changed",
        "undone_at",
        "undone_by",
        "undone",
    )
    readonly_fields = ("changed",)
    ordering = ("-id",)
    actions_detail = ("undo",)

    @admin.display(description=gettext_lazy("Changed"))
    def changed(self, session: AgentSession) -> str:
        found = effects(session)
        named = [f"{one.entity} {one.pk} ({_verb(one.created)})" for one in found[:SHOWN]]
        return "; ".join([*named, *(["…"] if len(found) > SHOWN else [])]) or "-"

    @action(description=gettext_lazy("Undo"), permissions=["end"], url_path="undo")
    def undo(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks first; takes back what the session changed when the answer is sent."""
        back = reverse("admin:core_agentsession_change", args=[object_id])
        return self.excused(request, lambda: self._undo(request, object_id, back), back)

    def _undo(self, request: HttpRequest, object_id: str, back: str) -> HttpResponse:
        found = self.get_object(request, object_id)
        form = verbs.VerbForm(request)
        if found is None or not form.is_valid():
            return verbs.page(self, request, _("Undo %(session)s") % {"session": found}, form, [], {})
        undone = undo(found.pk, request.user).undone
        message = _("%(removed)s removed, %(restored)s restored, %(kept)s kept as they are.") % (
            undone | {"kept": len(undone["kept"])}
        )
        self.message_user(request, message, messages.SUCCESS)
        return HttpResponseRedirect(back)


def _verb(created: bool) -> str:
    return str(Change.Kind.CREATED if created else Change.Kind.UPDATED)
