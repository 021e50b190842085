"""Base of pages that show, and have buttons that do something."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from core.access import Permission
from core.admin import verbs
from core.admin.captured import CapturedAdmin
from core.admin.home import page_url


class OperatedAdmin(CapturedAdmin):
    """Base of pages that show and have buttons: nothing is written in their forms. Rows and who presses a
    button are the policy's."""

    list_filter_submit = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may(request, Permission.CHANGE, object_id)

    def asked(self, request: HttpRequest, pk: str, title: str, work: Callable[[Any], str]) -> HttpResponse:
        """Ask first; once the answer is sent, do `work` on the row and say what it says."""
        back = page_url(self.model, pk)
        return self.excused(request, lambda: self._asked(request, pk, title, work), back)

    def _asked(self, request: HttpRequest, pk: str, title: str, work: Callable[[Any], str]) -> HttpResponse:
        found = self.row(request, pk)
        form = verbs.VerbForm(request)
        if not form.is_valid():
            return verbs.page(self, request, title % {"name": found}, form, [], {})
        self.message_user(request, work(found), messages.SUCCESS)
        return HttpResponseRedirect(page_url(self.model, found.pk))

    def may_in(self, request: HttpRequest, object_id: Any, state: Q) -> bool:
        """Whether the user operates the row, and it is in a state where a button means something."""
        rows = self.model.objects.visible_to(request.user, Permission.CHANGE).filter(state)
        return object_id is None or (str(object_id).isdecimal() and rows.filter(pk=object_id).exists())

    def row(self, request: HttpRequest, pk: str) -> Any:
        """The row in an address. Raises Http404 unless the user may operate it."""
        found = self.get_object(request, pk)
        if found is None or not self.has_operate_permission(request, found.pk):
            raise Http404
        return found
