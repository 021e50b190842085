"""What happened: read-only pages for administrators."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin import home as home_page
from core.admin.about import name_rows
from core.admin.change_words import ChangeWords
from core.admin.navigation import DATA, SYSTEM, Menu
from core.admin.read_only import ReadOnlyAdmin
from core.audit import home
from core.changes import seals
from core.changes.history import presented
from core.changes.models import AuditSeal, AuditVerification, Change, ChangeArchive, FailedDispatch
from core.entities import entities

home_page.parts.register("audit", home_page.Builder(60, home.build))


@admin.register(Change)
class ChangeAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "history", 70)
    menu_title = _("Audit trail")
    list_display = ("at", "entity", "object_id", "kind", "actor_id", "source", "agent")
    list_filter = ("kind", "source")
    search_fields = ("=object_id",)
    ordering = ("-id",)
    fields = (
        ("at", "kind"),
        ("shown_entity", "record"),
        ("actor", "source"),
        "differences",
        ("agent", "request_id"),
        ("import_id", "execution_id"),
    )
    readonly_fields = ("shown_entity", "record", "actor", "differences")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """With what its record and its actor are called, as its reader may see them."""
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            name_rows([found], Change, request.user)
            found.reader = request.user
        return found

    @admin.display(description=_("about"))
    def record(self, change: Change) -> Any:
        return self.shown_record(change)

    @admin.display(description=_("who"))
    def actor(self, change: Change) -> str:
        return self.shown_actor(change) or "-"

    @admin.display(description=_("changes"))
    def differences(self, change: Change) -> Any:
        """Old and new values, a line each; raw where no entity says what they mean."""
        if change.entity not in entities:
            lines = [(name, old, new) for name, (old, new) in sorted(change.changes.items())]
        else:
            entity = entities[change.entity].for_user(change.reader)  # type: ignore[attr-defined]
            (shown,) = presented([change], {entity.name: entity})
            words = ChangeWords(entity, change.reader, [shown["changes"]])  # type: ignore[attr-defined]
            lines = [(one.label, one.old, one.new) for one in words.of(shown["changes"])]
        return format_html_join(mark_safe("<br>"), "{}: {} → {}", lines) or "-"


@admin.register(FailedDispatch)
class FailedDispatchAdmin(ReadOnlyAdmin):
    menu = Menu(SYSTEM, "error", 10)
    list_display = ("at", "consumer", "entity", "attempts", "due_at", "error")
    list_filter = ("consumer", "entity")
    ordering = ("-id",)
    actions = ("try_again",)

    @admin.action(description=_("Try again now"), permissions=["end"])
    def try_again(self, request: HttpRequest, queryset: QuerySet) -> None:
        due = FailedDispatch.objects.filter(pk__in=queryset.values("pk")).update(due_at=timezone.now())
        self.message_user(request, gettext("%(due)s will be tried again within seconds.") % {"due": due})


@admin.register(AuditSeal)
class AuditSealAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "verified", 71)
    menu_title = _("Seals")
    list_display = ("id", "at", "kind", "first_id", "last_id", "rows", "affected", "reason", "actor_id")
    list_filter = ("kind",)
    fields = (
        ("id", "kind", "at"), ("first_id", "last_id"), ("rows", "affected"), "touched", "unsealed",
        "replaced_by", ("reason", "actor_id"), "hash_as_text", "previous_as_text",
    )  # fmt: skip
    readonly_fields = ("hash_as_text", "previous_as_text")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return seals.links().order_by(*self.get_ordering(request))

    @admin.display(description=_("Hash"))
    def hash_as_text(self, seal: AuditSeal) -> str:
        return bytes(seal.hash).hex()

    @admin.display(description=_("Hash of the seal before"))
    def previous_as_text(self, seal: AuditSeal) -> str:
        return bytes(seal.previous).hex()


@admin.register(AuditVerification)
class AuditVerificationAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "fact_check", 72)
    menu_title = _("Verifications")
    list_display = ("id", "at", "first_seal", "last_seal", "rows", "anchors", "problems", "first_problem")
    ordering = ("-id",)


@admin.register(ChangeArchive)
class ChangeArchiveAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "archive", 73)
    menu_title = _("Archived changes")
    list_display = ("month", "file", "rows", "first_id", "last_id", "at", "sha256")
    ordering = ("-last_id",)
