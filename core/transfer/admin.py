"""Imports and exports in the admin site: the wizard that imports a file, the history of imports with what
each did, taking one back, the dialog that exports a list, and the mappings users keep.

Everyone sees their own imports and exports; administrators look at all of them.
"""

from pathlib import PurePath
from typing import Any

import orjson
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.handlers.asgi import ASGIRequest
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.formats import number_format
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext, pgettext_lazy
from unfold.decorators import action
from unfold.paginator import InfinitePaginator

from core import labels
from core.access import Permission
from core.admin import columns, formats, verbs
from core.admin import home as home_page
from core.admin.home import page_url
from core.admin.list_links import ListLink, list_links
from core.admin.navigation import DATA, Menu
from core.admin.pages import pages
from core.admin.read_only import ADMINISTRATORS, ReadOnlyAdmin
from core.admin.saved_views import PARAMETER
from core.admin.view_conditions import kept_of, ordering_of
from core.conf import conf
from core.entities import Entity, entities, entity_of
from core.entities.custom import schema
from core.entities.locks import IMPORTING, try_lock
from core.errors import ConflictError, DomainError
from core.transfer import drafts, home, undoing, wizard
from core.transfer.api.import_jobs import error_lines
from core.transfer.api.streaming import in_own_thread
from core.transfer.exporting import FORMATS
from core.transfer.models import ExportJob, ImportIssue, ImportJob, SavedMapping
from core.transfer.report import messages_of

home_page.parts.register("transfer", home_page.Builder(70, home.build))
FIRST_FAULTS = 20


class OwnJobsAdmin(ReadOnlyAdmin):
    """Base of pages of jobs: everyone's own, and all of them for administrators."""

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        everything = ADMINISTRATORS.allows(request.user, Permission.VIEW)
        return rows if everything else rows.filter(self.model.policy.scope(request.user))

    def may(self, request: HttpRequest, action: str, obj: Any = None) -> bool:
        if action != Permission.VIEW or not self.model.policy.allows(request.user, action):
            return False
        pk = getattr(obj, "pk", obj)
        return pk is None or (str(pk).isdecimal() and self.get_queryset(request).filter(pk=pk).exists())


@admin.register(ImportJob)
class ImportJobAdmin(OwnJobsAdmin):
    menu = Menu(DATA, "upload_file", 10)
    menu_title = gettext_lazy("Imports")
    paginator = InfinitePaginator
    list_display = (
        "shown_name", "shown_status", "kind", "entity", "shown_user", "shown_created", "read", "created",
        "updated", "unchanged", "skipped", "failed",
    )  # fmt: skip
    shown_status = columns.choice_badge("status", home.TONES)
    shown_user = columns.person("user")
    shown_created = columns.moment("created_at", gettext_lazy("when"))
    list_filter = ("status", "kind", "entity")
    list_select_related = ("user",)
    list_before_template = "admin/core/import_bar.html"
    search_fields = ("file_name", "=user__username", "=file_hash")
    ordering = ("-id",)
    fields = (("user", "created_at"), ("started_at", "finished_at"))
    change_form_before_template = "admin/core/import_job.html"
    actions_detail = ("undo", "cancel")

    @admin.display(description=gettext_lazy("File"), ordering="file_name")
    def shown_name(self, job: ImportJob) -> str:
        return job.file_name or str(job)

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("new/", wrap(self.upload_view), name="core_import_upload"),
            path("map/", wrap(self.map_view), name="core_import_map"),
            path("<int:object_id>/progress/", wrap(self.progress_view), name="core_import_progress"),
            path("<int:object_id>/errors.csv", wrap(self.errors_view), name="core_import_errors"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The history of imports, with the way to a new one for who may import."""
        may_import = bool(wizard.importable(request.user))
        return super().changelist_view(request, {"may_import": may_import} | (extra_context or {}))

    def upload_view(self, request: HttpRequest) -> HttpResponse:
        """The first step of the wizard."""
        back = reverse("admin:core_importjob_changelist")
        return self.excused(request, lambda: wizard.upload_view(self, request), back)

    def map_view(self, request: HttpRequest) -> HttpResponse:
        """The second step of the wizard. What it begins has a transaction of its own."""
        try:
            return wizard.map_view(self, request)
        except DomainError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:core_import_upload"))

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """With the figures, the first faults, and what may be done about the import."""
        response = super().changeform_view(request, *args, **kwargs)
        shown = getattr(response, "context_data", None) or {}
        if job := shown.get("original"):
            shown |= _shown_job(job, request)
        return response

    def progress_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """The figures alone, asked for while the job runs; once it has ended the page is loaded anew."""
        job = self._job(request, object_id)
        answer = HttpResponse(
            render_to_string("admin/core/import_figures.html", _shown_job(job, request), request)
        )
        if not job.is_open:
            answer["HX-Refresh"] = "true"
        return answer

    def errors_view(self, request: HttpRequest, object_id: int) -> StreamingHttpResponse:
        """The rows that were refused, or came in with warnings, as they stood in the file: to be corrected
        and imported again."""
        job = self._job(request, object_id)
        if job.kind != ImportJob.Kind.IMPORT:
            raise Http404
        name = f"{PurePath(job.file_name or f'import_{job.pk}').stem}_errors.csv"
        headers = {"Content-Disposition": content_disposition_header(True, name) or "attachment"}
        lines: Any = error_lines(job, job.issues.order_by("id"), request.user)
        source = in_own_thread(lines) if isinstance(request, ASGIRequest) else lines
        return StreamingHttpResponse(source, content_type="text/csv; charset=utf-8", headers=headers)

    def _job(self, request: HttpRequest, pk: Any) -> ImportJob:
        found = self.get_queryset(request).filter(pk=pk).first()
        if found is None:
            raise Http404
        return found

    def _own(self, request: HttpRequest, object_id: Any, state: Q) -> bool:
        """Whether the job is the user's, as it must be at the API, and in this state."""
        rows = ImportJob.objects.visible_to(request.user).filter(state)
        return object_id is None or (str(object_id).isdecimal() and rows.filter(pk=object_id).exists())

    def has_undo_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        state = Q(kind="import", status="finished") & ~Q(settings__options__dry_run=True)
        return self._own(request, object_id, state)

    def has_cancel_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._own(request, object_id, Q(status__in=("pending", "running"), cancel_requested=False))

    @action(description=gettext_lazy("Undo"), permissions=["undo"], url_path="undo", icon="undo")
    def undo(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks first; takes the import back when the answer is sent."""
        back = page_url(ImportJob, object_id)
        return self.excused(request, lambda: self._undo(request, object_id), back)

    def _undo(self, request: HttpRequest, object_id: str) -> HttpResponse:
        job = self._job(request, object_id)
        form = verbs.VerbForm(request)
        if not form.is_valid():
            lines = [
                _("Removed: %(n)s records that it made.") % {"n": job.created},
                _("As they were before: %(n)s records that it changed.") % {"n": job.updated},
                _("What was changed since, or is referred to, stays and is named."),
            ]
            return verbs.page(self, request, _("Undo %(name)s") % {"name": job}, form, lines, {})
        made = undoing.begin_undo(job, request.user, getattr(request, "request_id", ""))
        if made.rows <= conf.IMPORT_ROWS_AT_ONCE and try_lock(IMPORTING, made.entity):
            undoing.perform_undo(made)
        else:
            undoing.postpone(made)
        return HttpResponseRedirect(page_url(ImportJob, made.pk))

    @action(
        description=pgettext_lazy("work under way", "Cancel"),
        permissions=["cancel"],
        url_path="cancel",
        icon="cancel",
    )
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks first; nothing of the import is kept."""
        back = page_url(ImportJob, object_id)
        return self.excused(request, lambda: self._cancel(request, object_id, back), back)

    def _cancel(self, request: HttpRequest, object_id: str, back: str) -> HttpResponse:
        job = self._job(request, object_id)
        form = verbs.VerbForm(request)
        if not form.is_valid():
            return verbs.page(self, request, _("Cancel %(name)s") % {"name": job}, form, [], {})
        if not job.is_open:
            raise ConflictError(_("This import has ended already; undo it instead."), code="ended")
        job.cancel_requested = True
        job.save(update_fields=["cancel_requested"])
        self.message_user(request, _("It ends soon, and nothing of it is kept."), messages.SUCCESS)
        return HttpResponseRedirect(back)


def _shown_job(job: ImportJob, request: HttpRequest) -> dict[str, Any]:
    is_import = job.kind == ImportJob.Kind.IMPORT
    is_rehearsal = bool(job.settings.get("options", {}).get("dry_run"))
    issues = job.issues.exclude(kind=ImportIssue.Kind.SKIPPED).order_by("id")
    undo = undoing.undone_by(job) if is_import else None
    return {
        "job": job,
        "badge": formats.badge(job.get_status_display(), home.TONES.get(job.status, "neutral")),
        "is_rehearsal": is_rehearsal,
        "figures": _figures(job, is_import),
        "percent": min(100, round(100 * job.read / job.rows)) if job.rows else 0,
        "faults": [
            (issue, "; ".join(messages_of(issue.errors)), _record_url(job, issue))
            for issue in issues[:FIRST_FAULTS]
        ],
        "fault_count": job.failed + job.warned if is_import else job.kept,
        "errors_url": reverse("admin:core_import_errors", args=[job.pk])
        if is_import and (job.failed or job.warned)
        else "",
        "progress_url": reverse("admin:core_import_progress", args=[job.pk]),
        "may_import_now": is_rehearsal
        and job.status == ImportJob.Status.FINISHED
        and drafts.is_rehearsed(request, job.pk),
        "map_url": reverse("admin:core_import_map") if is_rehearsal and job.user == request.user else "",
        "undone_url": page_url(ImportJob, undo.pk) if undo else "",
        "undoes_url": page_url(ImportJob, job.undoes_id) if job.undoes_id else "",
        "mapped": job.settings.get("columns", []),
    }


def _figures(job: ImportJob, is_import: bool) -> list[tuple[str, int, str]]:
    """What a job did, as label, number and tone."""
    if not is_import:
        return [
            (_("Removed"), job.removed, ""),
            (_("As before"), job.restored, ""),
            (_("Kept as they are"), job.kept, "warn" if job.kept else ""),
        ]
    return [
        (pgettext("rows", "Read"), job.read, ""),
        (_("Created"), job.created, "good" if job.created else ""),
        (_("Updated"), job.updated, ""),
        (_("Unchanged"), job.unchanged, ""),
        (_("Left out"), job.skipped, ""),
        (_("Refused"), job.failed, "bad" if job.failed else ""),
        (_("With warnings"), job.warned, "warn" if job.warned else ""),
    ]


def _record_url(job: ImportJob, issue: ImportIssue) -> str:
    return page_url(entities[job.entity].model, issue.object_id) if issue.object_id else ""


@admin.register(ImportIssue)
class ImportIssueAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "rule_folder", 11)
    menu_title = gettext_lazy("Import issues")
    list_display = ("job", "kind", "row", "line", "object_id", "errors")
    list_filter = ("kind",)
    search_fields = ("=job__id",)
    ordering = ("-id",)


@admin.register(ExportJob)
class ExportJobAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "download", 20)
    menu_title = gettext_lazy("Exports")
    list_display = (
        "id", "created_at", "user", "entity", "format", "status", "rows", "size", "expires_at",
    )  # fmt: skip
    list_filter = ("status", "entity", "format")
    list_select_related = ("user",)
    search_fields = ("=user__username",)
    ordering = ("-id",)


@admin.register(SavedMapping)
class SavedMappingAdmin(ReadOnlyAdmin):
    menu = Menu(DATA, "swap_horiz", 12)
    list_display = ("name", "entity", "owner", "updated_at")
    list_filter = ("entity",)
    list_select_related = ("owner",)
    search_fields = ("name", "=owner__username")
    ordering = ("name", "id")


def export_page(request: HttpRequest) -> HttpResponse:
    """The dialog that exports a list: as which file, which columns, and what it is narrowed by. It sends the
    browser to the API's export, which streams the file."""
    entity = entities.get(request.GET.get("of", ""))
    page: Any = admin.site._registry.get(entity.model) if entity else None
    if entity is None or page is None or not page.has_view_permission(request):
        raise Http404
    given = request.GET.copy()
    del given["of"]
    request.GET = given  # type: ignore[assignment]
    try:
        changelist = page.get_changelist_instance(request)
    except IncorrectLookupParameters:
        return HttpResponseRedirect(reverse(_list_route(entity)))
    known = entity.for_user(request.user)
    # The API adds the view's own filters, search and order to what is sent beside it.
    kept = kept_of(changelist, known, request.user, besides=PARAMETER)
    archived = changelist.params.get("archived", "")
    hidden = {
        PARAMETER: given.get(PARAMETER, ""),
        "conditions": orjson.dumps(kept.condition).decode() if kept.conditions else "",
        "search": changelist.query,
        "ordering": ordering_of(changelist, known),
        "archived": archived,
    }
    context = {
        **admin.site.each_context(request),
        "title": _("Export %(what)s") % {"what": entity.model._meta.verbose_name_plural},
        "opts": entity.model._meta,
        "action": reverse("export", args=[entity.plural]),
        "hidden": [(name, text) for name, text in hidden.items() if text],
        "formats": list(FORMATS),
        "chosen": page.fields_shown(request),
        "fields": [
            (name, labels.field_title(column) if column.label else labels.titled(name))
            for name, column in schema(known).items()
            if name != "custom_fields"
        ],
        "count": changelist.result_count,
        "more_than": number_format(changelist.result_count, force_grouping=True)
        if changelist.paginator.is_capped
        else "",
        "of_view": bool(given.get(PARAMETER)),
        "left_out": [title for title in kept.left_out if not (archived and title == _("Archived"))],
        "back": f"{reverse(_list_route(entity))}?{given.urlencode()}",
    }
    return TemplateResponse(request, "admin/core/export.html", context)


def _list_route(entity: Entity) -> str:
    return f"admin:{entity.model._meta.app_label}_{entity.model._meta.model_name}_changelist"


pages.register("export", export_page)


def _export_link(request: HttpRequest, model: Any) -> ListLink:
    query = request.GET.copy()
    query["of"] = entity_of(model).name
    return ListLink(_("Export"), "download", f"{reverse('admin-export')}?{query.urlencode()}")


def _import_link(request: HttpRequest, model: Any) -> ListLink | None:
    entity = entity_of(model)
    if not model.policy.allows(request.user, Permission.ADD):
        return None
    return ListLink(_("Import"), "upload", f"{reverse('admin:core_import_upload')}?entity={entity.name}")


list_links.register("export", _export_link)
list_links.register("import", _import_link)
