"""The import wizard of the admin site: a file is chosen, looked at, mapped, rehearsed and imported, by the
same plan, preview and jobs as over the API."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from core import labels
from core.access import Permission
from core.admin.home import page_url
from core.conf import conf
from core.entities import entities
from core.entities.locks import IMPORTING, try_lock
from core.errors import ConflictError, DomainError, ForbiddenError, NotVisibleError
from core.transfer import drafts, jobs
from core.transfer.drafts import Draft
from core.transfer.import_fields import ImportFields
from core.transfer.models import ImportJob
from core.transfer.options import parse
from core.transfer.planning import Plan, check_importable, plan
from core.transfer.previewing import preview
from core.transfer.reading import open_table

# Inputs of the columns, and the setting that holds where each goes, by its place in the file.
COLUMN, PLACES = "column-", "places"
# What the second step sends besides these, at most.
OTHER_INPUTS = 40
YES_NO = (("true", gettext_lazy("Yes")), ("false", gettext_lazy("No")))
# What each setting of the second step is called, and what may be chosen.
CHOICES: dict[str, tuple[Any, tuple[tuple[str, Any], ...]]] = {
    "duplicates": (
        gettext_lazy("Records that are there already"),
        (
            ("skip", gettext_lazy("Leave as they are")),
            ("update", gettext_lazy("Update")),
            ("create", gettext_lazy("Create once more")),
            ("error", gettext_lazy("Refuse the row")),
        ),
    ),
    "skip_errors": (
        gettext_lazy("Rows with faults"),
        (
            ("true", gettext_lazy("Leave out, import the others")),
            ("false", gettext_lazy("Import nothing then")),
        ),
    ),
    "create_missing": (gettext_lazy("Make companies that are named and not there"), YES_NO),
    "clear_blank": (gettext_lazy("Blank cells empty stored fields"), YES_NO),
    "automation": (
        gettext_lazy("Workflows"),
        (("run", gettext_lazy("Run")), ("suppress", gettext_lazy("Do not run"))),
    ),
}
# Settings of how a file is read, as texts.
READING = {
    "encoding": gettext_lazy("Encoding"),
    "delimiter": gettext_lazy("Delimiter"),
    "sheet": gettext_lazy("Sheet"),
    "header_row": gettext_lazy("Header row"),
    "date_format": gettext_lazy("Date format"),
    "decimal_separator": gettext_lazy("Decimal separator"),
    "phone_region": gettext_lazy("Country of phone numbers"),
}
# Those that say which columns there are: by another one the columns are others, and go elsewhere.
LAYOUT = ("encoding", "delimiter", "sheet", "header_row")
# Why a column goes where it does, in words; other reasons are words already.
REASONS = {
    "given": gettext_lazy("chosen by you"),
    "own export": gettext_lazy("an export of this CRM"),
    "name": gettext_lazy("named like the field"),
    "alias": gettext_lazy("another name of the field"),
    "words": gettext_lazy("the words of its header"),
    "values": gettext_lazy("what its cells hold"),
    "none": gettext_lazy("no field is named like it"),
    "ignored": gettext_lazy("left out by you"),
    "read-only": gettext_lazy("your role may not change it"),
}


class UploadForm(forms.Form):
    """What is imported, and from which file."""

    entity = forms.ChoiceField(label=gettext_lazy("Import"), widget=UnfoldAdminSelectWidget)
    file = forms.FileField(
        label=gettext_lazy("File"),
        allow_empty_file=True,
        widget=UnfoldAdminFileFieldWidget,
        help_text=gettext_lazy("CSV or XLSX. Nothing is imported yet: you see first how it is read."),
    )

    def __init__(self, user: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["entity"].choices = [  # type: ignore[attr-defined]
            (one.name, capfirst(str(one.model._meta.verbose_name_plural))) for one in importable(user)
        ]

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if (file.size or 0) > conf.IMPORT_MAX_MB << 20:
            raise forms.ValidationError(_("At most %(n)s MB.") % {"n": conf.IMPORT_MAX_MB})
        return file


def importable(user: Any) -> list[Any]:
    """The entities that the user may add records of."""
    return [one for one in entities if one.model.policy.allows(user, Permission.ADD)]


def upload_view(admin: Any, request: HttpRequest) -> HttpResponse:
    """The first step: a file is chosen."""
    if not importable(request.user):
        raise ForbiddenError(_("Your role imports nothing."))
    form = UploadForm(request.user, request.POST or None, request.FILES or None, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        name = (given["file"].name or "").replace("\x00", "")
        drafts.keep(request, given["entity"], name, given["file"].file)
        return HttpResponseRedirect(reverse("admin:core_import_map"))
    context = {
        **admin.admin_site.each_context(request),
        "title": _("Import a file"),
        "form": form,
        "opts": admin.opts,
    }
    return TemplateResponse(request, "admin/core/import_upload.html", context)


def map_view(admin: Any, request: HttpRequest) -> HttpResponse:
    """The second step: how the file is read, where its columns go, what is wrong with its first rows. Sent,
    it looks again, rehearses or imports."""
    draft = drafts.draft_of(request)
    entity = entities[draft.entity]
    if entity not in importable(request.user):
        raise ForbiddenError(_("Your role imports nothing."))
    refused = ""
    if request.method == "POST":
        try:
            if request.POST.get("do") == "import_rehearsed":
                _check_rehearsed(request)
                return _begun(admin, request, draft, rehearse=False)
            _check_meant(request, draft)
            before, draft = draft, drafts.change(request, draft, _settings(request, draft))
            if request.POST.get("do") in ("rehearse", "import"):
                _check_layout(before.settings, draft.settings)
                return _begun(admin, request, draft, rehearse=request.POST["do"] == "rehearse")
        except NotVisibleError:
            raise
        except DomainError as error:
            refused = str(error)
    return _page(admin, request, draft, refused)


def _check_meant(request: HttpRequest, draft: Draft) -> None:
    """Raises ConflictError for a page that shows another file than the session's."""
    if request.POST.get("draft") != draft.token:
        raise ConflictError(
            _("Another file was chosen meanwhile, in another tab. This is that file; nothing was imported.")
        )


def _check_rehearsed(request: HttpRequest) -> None:
    """Raises ConflictError where the session's file or its settings are others than a rehearsal had."""
    pk = request.POST.get("job", "")
    if not (pk.isdecimal() and drafts.is_rehearsed(request, int(pk))):
        raise ConflictError(_("The file or its settings changed since that rehearsal; nothing was imported."))


def _check_layout(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises ConflictError where the columns are no longer those that were looked at."""
    if not _same_layout(before, now):
        raise ConflictError(_("The file is read differently now: look where its columns go."))


def _same_layout(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return all(before.get(name, "") == now.get(name, "") for name in LAYOUT)


def _page(admin: Any, request: HttpRequest, draft: Draft, refused: str) -> HttpResponse:
    context = {
        **admin.admin_site.each_context(request),
        "title": _("Import %(file)s") % {"file": draft.name},
        "opts": admin.opts,
        "draft": draft,
        "kind": entities[draft.entity].model._meta.verbose_name_plural,
        "refused": refused,
    }
    try:
        with drafts.opened(draft) as file:
            shown = preview(_plan(request, draft, file))
            _check_width(shown["columns"])
    except DomainError as error:
        context["refused"] = refused or str(error)
        context["readings"] = _readings(draft.settings, {})
        return TemplateResponse(request, "admin/core/import_map.html", context)
    context |= {
        "preview": shown,
        "columns": _columns(request, draft, shown),
        "readings": _readings(draft.settings, shown),
        "choices": _chosen(draft.settings),
    }
    return TemplateResponse(request, "admin/core/import_map.html", context)


def _check_width(columns: Sequence[Any]) -> None:
    """Raises ConflictError for more columns than a form is taken with, for each of them is an input."""
    most = (settings.DATA_UPLOAD_MAX_NUMBER_FIELDS or len(columns) + OTHER_INPUTS) - OTHER_INPUTS
    if len(columns) > most:
        raise ConflictError(
            _("The file has %(n)s columns; up to %(most)s are mapped here. Import it over the API.")
            % {"n": len(columns), "most": most}
        )


def _plan(request: HttpRequest, draft: Draft, file: Any, **over: Any) -> Plan:
    """Raises DomainError for a file or settings by which nothing can be read."""
    given = {**draft.settings, **over}
    places = given.pop(PLACES, None)
    table = open_table(file, parse(given).reading)
    if places is not None:
        headers = enumerate(table.shape.headers)
        given["mapping"] = {header: places.get(str(place), "") for place, header in headers}
    return plan(entities[draft.entity], table, parse(given), request.user)


def _begun(admin: Any, request: HttpRequest, draft: Draft, *, rehearse: bool) -> HttpResponse:
    """As the API does: small files at once, large ones by a worker; the page of the job shows both."""
    request_id = getattr(request, "request_id", "")

    def work() -> HttpResponse:
        drafts.claim(draft)
        with drafts.opened(draft) as file:
            made = _plan(request, draft, file, dry_run=rehearse)
            check_importable(made)
            job = jobs.begin(made, file, draft.name, request.user, request_id)
            large = made.table.shape.rows > conf.IMPORT_ROWS_AT_ONCE
            if large or not try_lock(IMPORTING, made.entity.name):
                jobs.postpone(job, file)
            else:
                jobs.run_now(job, made)
        if rehearse:
            drafts.note_rehearsal(request, draft, job.pk)
        else:
            # While it is claimed: who waits for it must not find it.
            drafts.discard(request)
        return HttpResponseRedirect(page_url(ImportJob, job.pk))

    return admin.acting(request, work)


def _settings(request: HttpRequest, draft: Draft) -> dict[str, Any]:
    """What the form of the second step was sent with. Columns are named by their place, for the headers are
    the file's; where they go is asked anew of a file that is read differently."""
    sent = request.POST
    found: dict[str, Any] = {name: sent[name].strip() for name in READING if sent.get(name, "").strip()}
    found |= {name: sent[name] for name, (_label, known) in CHOICES.items() if sent.get(name) in dict(known)}
    places = {name.removeprefix(COLUMN): sent[name] for name in sent if name.startswith(COLUMN)}
    if places and _same_layout(draft.settings, found):
        found[PLACES] = places
    return found


def _columns(request: HttpRequest, draft: Draft, shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each column with its samples, the fields it may go into, and the reason of the proposal."""
    fields = _fields(request, draft)
    return [
        {
            **column,
            "name": f"{COLUMN}{place}",
            "options": fields
            if not column["field"] or column["field"] in dict(fields)
            else [*fields, (column["field"], column["field"])],
            "why": REASONS.get(column["reason"], column["reason"]),
        }
        for place, column in enumerate(shown["columns"])
    ]


def _fields(request: HttpRequest, draft: Draft) -> list[tuple[str, str]]:
    """Fields by their labels; of a reference also what it can be named by."""
    targets = ImportFields(entities[draft.entity].for_user(request.user))
    found = []
    for name, target in targets.by_name.items():
        if target.linked is not None:
            found.append((name, labels.label(target.linked.label)))
        elif target.column is None or name in (target.column.name, target.column.path):
            is_named = target.column is not None and target.column.label
            found.append((name, labels.field_title(target.column) if is_named else labels.titled(name)))
        elif target.part in ("name", "email", "domain", "id"):
            found.append((name, f"{labels.field_title(target.column)}: {labels.label(target.part)}"))
    return sorted(dict(found).items(), key=lambda item: item[1])


def _readings(chosen: Mapping[str, Any], shown: Mapping[str, Any]) -> list[tuple[str, Any, str, str]]:
    """Name, label, what was chosen, and what was found out."""
    return [
        (name, label, str(chosen.get(name, "")), str(shown.get(name) or ""))
        for name, label in READING.items()
    ]


def _chosen(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    usual = parse({}).as_json()
    return [
        {"name": name, "label": label, "options": known, "value": settings.get(name) or _text(usual[name])}
        for name, (label, known) in CHOICES.items()
    ]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
