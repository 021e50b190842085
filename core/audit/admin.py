"""What happened: read-only pages for administrators."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin import home as home_page
from core.admin.navigation import DATA, SYSTEM, Menu
from core.admin.read_only import ReadOnlyAdmin
from core.audit import home
from core.changes.models import Change, FailedDispatch

home_page.parts.register("audit", home_page.Builder(60, home.build))


@admin.register(Change)
class ChangeAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "history", 70)
    menu_title = _("Audit trail")
    list_display = ("at", "entity", "object_id", "kind", "source", "actor_id", "agent", "request_id")
    list_filter = ("kind", "source")
    search_fields = ("=object_id",)
    ordering = ("-id",)


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
