"""Privacy requests in the admin site: ask for one, see what it came to, erase after a dry run."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from core.admin import verbs
from core.admin.navigation import DATA, Menu
from core.admin.read_only import ReadOnlyAdmin
from core.errors import NotVisibleError
from core.privacy import lifecycle
from core.privacy.api.serializers import SubjectSerializer
from core.privacy.certificate import counts_of
from core.privacy.models import PrivacyRequest
from core.privacy.subject import asked_from

LIST = "admin:core_privacyrequest_changelist"
DETAIL = "admin:core_privacyrequest_change"


def _lines(label: Any) -> forms.CharField:
    return forms.CharField(required=False, label=label, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))


class PrivacyRequestForm(verbs.VerbForm):
    """Who is meant, one address, number or record a line."""

    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=[("dry_run", gettext_lazy("Count what would be erased")), *PrivacyRequest.Kind.choices],
        widget=UnfoldAdminSelectWidget,
    )
    emails = _lines(gettext_lazy("E-mail addresses"))
    phones = _lines(gettext_lazy("Phone numbers"))
    records = _lines(gettext_lazy("Records (lead:5)"))
    terms = _lines(gettext_lazy("Further words, for what the person has together with others"))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        lines = {name: cleaned.get(name, "").split("\n") for name in ("emails", "phones", "records", "terms")}
        given: dict[str, Any] = {
            n: found for n, ls in lines.items() if (found := [x.strip() for x in ls if x.strip()])
        }
        if "records" in given:
            pairs = (record.partition(":") for record in given["records"])
            given["records"] = [{"entity": entity, "id": pk} for entity, _, pk in pairs]
        body = SubjectSerializer(data=given)
        if not body.is_valid():
            for name, reasons in body.errors.items():
                self.add_error(name if name in self.fields else None, str(reasons))
            return cleaned
        return cleaned | {"asked": asked_from(body.validated_data)}


@admin.register(PrivacyRequest)
class PrivacyRequestAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "person_remove", 70)
    menu_title = gettext_lazy("Privacy requests")
    list_display = (
        "id",
        "created_at",
        "kind",
        "dry_run",
        "status",
        "deleted",
        "emptied",
        "redacted",
        "finished_at",
    )
    list_filter = ("kind", "status", "dry_run")
    fields = (
        ("kind", "dry_run", "status"), "message", "subject", "counted", "kept",
        ("created_at", "finished_at", "expires_at"),
    )  # fmt: skip
    readonly_fields = ("counted",)
    ordering = ("-id",)
    actions_list = ("ask",)
    actions_detail = ("erase", "download")

    @admin.display(description=gettext_lazy("Deleted"))
    def deleted(self, request: PrivacyRequest) -> int:
        return request.total("deleted")

    @admin.display(description=gettext_lazy("Emptied"))
    def emptied(self, request: PrivacyRequest) -> int:
        return request.total("emptied")

    @admin.display(description=gettext_lazy("Redacted"))
    def redacted(self, request: PrivacyRequest) -> int:
        return request.total("redacted")

    @admin.display(description=gettext_lazy("Counts"))
    def counted(self, request: PrivacyRequest) -> str:
        return "; ".join(_counted(line) for line in counts_of(request)) or "-"

    @action(description=gettext_lazy("Export or erase a person"), permissions=["end"], url_path="ask")
    def ask(self, request: HttpRequest) -> HttpResponse:
        """Asks who is meant; begins when the answer is sent."""
        return self.excused(request, lambda: self._ask(request), reverse(LIST))

    def _ask(self, request: HttpRequest) -> HttpResponse:
        form = PrivacyRequestForm(request)
        if not form.is_valid():
            return verbs.page(self, request, _("Export or erase a person"), form, [], {})
        dry_run = form.cleaned_data["kind"] == "dry_run"
        kind = PrivacyRequest.Kind.ERASE if dry_run else form.cleaned_data["kind"]
        made = lifecycle.begin(kind, form.cleaned_data["asked"], request.user, dry_run=dry_run)
        self.message_user(request, _("It is worked on in the background."), messages.SUCCESS)
        return HttpResponseRedirect(reverse(DETAIL, args=[made.pk]))

    @action(description=gettext_lazy("Erase now"), permissions=["end"], url_path="erase")
    def erase(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Erases whom a dry run was about, once one is sure."""
        back = reverse(DETAIL, args=[object_id])
        return self.excused(request, lambda: self._erase(request, object_id, back), back)

    def _erase(self, request: HttpRequest, object_id: str, back: str) -> HttpResponse:
        found = self.get_object(request, object_id)
        is_done = found is not None and found.dry_run and found.status == PrivacyRequest.Status.FINISHED
        if found is None or not is_done or not found.subject:
            self.message_user(
                request, _("Only a dry run that is not forgotten can be erased."), messages.ERROR
            )
            return HttpResponseRedirect(back if found else reverse(LIST))
        form = verbs.VerbForm(request)
        if not form.is_valid():
            return verbs.page(self, request, _("Erase this person for good"), form, [], {})
        asked = asked_from(found.subject)
        made = lifecycle.begin(PrivacyRequest.Kind.ERASE, asked, request.user, seen=found)
        self.message_user(request, _("It is worked on in the background."), messages.SUCCESS)
        return HttpResponseRedirect(reverse(DETAIL, args=[made.pk]))

    @action(description=gettext_lazy("Download"), permissions=["end"], url_path="download")
    def download(self, request: HttpRequest, object_id: str) -> Any:
        """The file of an export."""
        found = self.get_object(request, object_id)
        try:
            file = lifecycle.open_file(found) if found else None
        except NotVisibleError:
            file = None
        if found is None or file is None:
            self.message_user(request, _("There is no file (any more)."), messages.ERROR)
            return HttpResponseRedirect(reverse(DETAIL, args=[object_id]) if found else reverse(LIST))
        return FileResponse(file, as_attachment=True, filename=f"person_{found.pk}.json")


def _counted(line: dict[str, Any]) -> str:
    numbers = ", ".join(f"{n} {name}" for name, n in line.items() if name not in ("table", "label") and n)
    return f"{line['label']}: {numbers}"
