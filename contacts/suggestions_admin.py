"""The companies that are suggested for a person, in the admin site: on the record's page, and a page to
choose one of them or none."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from unfold.widgets import UnfoldAdminRadioSelectWidget

from contacts.company_matching import matched_by_domain
from contacts.company_suggestions import SuggestedCompanies, accept, dismiss, suggestions_of
from contacts.models import Company
from core.admin import verbs
from core.admin.home import Panel, PanelLine
from core.duplicates.admin import MergeableAdmin
from core.errors import ConflictError

NONE = "none"


def build(record: Any, user: Any) -> Panel | None:
    """The suggested companies that the user sees; None where there are none."""
    if record.entity_name not in matched_by_domain:
        return None
    found = suggestions_of(record, user).companies
    if not found:
        return None
    url = _url(record)
    detail = _("has the domain of the e-mail address: link")
    lines = [PanelLine(company.name, f"{url}?company={company.pk}", detail) for company in found]
    return Panel(_("Suggested company"), "domain_add", url, lines, "")


def _url(record: Any) -> str:
    meta = record._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_company", args=[record.pk])


def _with_domain(company: Company) -> str:
    return f"{company.name} ({company.domain})" if company.domain else company.name


class CompanyForm(verbs.VerbForm):
    """Which of the suggested companies it is, or none of them."""

    def __init__(self, request: HttpRequest, found: SuggestedCompanies) -> None:
        super().__init__(request)
        named = [(str(company.pk), _with_domain(company)) for company in found.companies]
        self.fields["company"] = forms.ChoiceField(
            label=_("Company"),
            choices=[*named, (NONE, _("None of these"))],
            initial=request.GET.get("company") or named[0][0],
            widget=UnfoldAdminRadioSelectWidget,
        )


class CompanySuggestionsAdmin(MergeableAdmin):
    """Base of the pages of people."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.company_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_company"
        return [path("<int:object_id>/company/", view, name=name), *super().get_urls()]

    def company_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Asks which company it is; links or dismisses when the answer is sent."""
        return self.excused(request, lambda: self._company(request, object_id), self.page_of(object_id))

    def _company(self, request: HttpRequest, object_id: int) -> HttpResponse:
        record = self.changeable(request, object_id)
        found = suggestions_of(record, request.user)
        if not found.companies:
            raise ConflictError(_("No company is suggested."))
        form = CompanyForm(request, found)
        if not form.is_valid():
            return verbs.page(self, request, _("Company of %(name)s") % {"name": record}, form, [], {})
        self._choose(request, record, found, form.cleaned_data["company"])
        return HttpResponseRedirect(self.page_of(object_id))

    def _choose(self, request: HttpRequest, record: Any, found: SuggestedCompanies, chosen: str) -> None:
        if chosen != NONE:
            accept(record, int(chosen), request.user)
            self.message_user(request, _("Linked."), messages.SUCCESS)
            return
        for company in found.companies:
            dismiss(record, company.pk, request.user)
        self.message_user(request, _("These are not suggested any more."), messages.SUCCESS)
