"""The base of everything in the admin site: rows and rights by policy, saves captured with their actor."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db import IntegrityError, models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.views import ChangeList

from core.access import Permission
from core.admin.about import AboutMixin, name_rows
from core.admin.list_rows import row_checkbox
from core.changes import audit_context
from core.entities.columns import column
from core.entities.usage import InUseError, check_renaming, release_row
from core.errors import ConflictError, DomainError, InvalidError
from core.models.folding import Fold

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
FOREIGN_KEY_VIOLATION = "23503"
# Uses that a message names.
NAMED = 10


class CapturedForm(forms.ModelForm):
    """A form that also shows what was refused while its values were being written."""

    request: HttpRequest

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        refusal = getattr(self.request, "refusal", None)
        if refusal is not None:
            self.show(refusal)
        return cleaned

    def show(self, error: DomainError) -> None:
        """Put a domain error beside the fields it names, the rest above the form."""
        if not isinstance(error, InvalidError):
            self.add_error(None, error.message)
            return
        for issue in error.issues:
            name = issue.field.replace("custom_fields.", "custom__", 1).partition(".")[0]
            known = name in self.fields
            self.add_error(name if known else None, issue.message if known else f"{name}: {issue.message}")


class NamesInOrder(ChangeList):
    """A list whose texts are in the order in which the API has them: without regard to case and accents."""

    def get_ordering(self, request: HttpRequest, queryset: models.QuerySet) -> list[Any]:
        return [self._folded(part) for part in super().get_ordering(request, queryset)]

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)  # type: ignore[has-type]  # set by what was just called
        self.result_list = rows
        name_rows(rows, self.model, request.user)

    def _folded(self, part: Any) -> Any:
        name = part.removeprefix("-") if isinstance(part, str) else ""
        fields = {f.name: f for f in self.lookup_opts.concrete_fields}
        if name not in fields or not column(self.model, name).folded:
            return part
        return Fold(models.F(name)).desc() if part.startswith("-") else Fold(models.F(name)).asc()


class PolicyMixin:
    """Rows and rights as the model's policy says, for pages and for tables inside of pages."""

    model: Any

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        rows = super().get_queryset(request)  # type: ignore[misc]
        return rows.filter(self.model.policy.scope(request.user, Permission.VIEW))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.may(request, Permission.VIEW)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, Permission.VIEW, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, Permission.ADD)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, Permission.CHANGE, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, Permission.DELETE, obj)

    def may(self, request: HttpRequest, action: str, obj: Any = None) -> bool:
        """Whether the policy lets the signed-in user do `action`, on `obj` (a row or its id) if given."""
        policy = self.model.policy
        if not policy.allows(request.user, action):
            return False
        pk = getattr(obj, "pk", obj)
        if pk is None or not isinstance(obj, self.model | int | str):
            return True
        rows = self.model._default_manager.filter(policy.scope(request.user, action))
        return str(pk).isdigit() and rows.filter(pk=pk).exists()


class CapturedAdmin(AboutMixin, PolicyMixin, ModelAdmin):
    """Base of every model's page. The model has a `policy`; its triggers see who saved, with source "admin".

    Domain errors raised while saving undo the whole request and are shown in the form or as a message.
    """

    form = CapturedForm
    show_full_result_count = False
    list_filter_submit = True
    warn_unsaved_form = True

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm]:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.request = request
        return form

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NamesInOrder

    @admin.display(description=ModelAdmin.action_checkbox.short_description)
    def action_checkbox(self, obj: models.Model) -> Any:
        return row_checkbox(obj.pk)

    def acting(self, request: HttpRequest, work: Callable[[], HttpResponse]) -> HttpResponse:
        """`work` as the signed-in user's doing; raises DomainError after undoing it."""
        if request.method in SAFE_METHODS:
            return work()
        request_id, limit = getattr(request, "request_id", ""), settings.DATABASE_WRITE_TIMEOUT
        with audit_context(request.user, source="admin", request_id=request_id, statement_seconds=limit):
            return work()

    def excused(self, request: HttpRequest, work: Callable[[], HttpResponse], back: str = "") -> HttpResponse:
        """As `acting`; what is refused is a message on the page `back`, else on the same one."""
        try:
            return self.acting(request, work)
        except DomainError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(back or request.get_full_path())

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        view = super().changeform_view
        try:
            return self.acting(request, lambda: view(request, *args, **kwargs))
        except DomainError as error:
            # Once more: the form is filled in as before, and says what was wrong.
            request.refusal = error  # type: ignore[attr-defined]
            return self.acting(request, lambda: view(request, *args, **kwargs))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        view = super().changelist_view
        name = getattr(self, "menu_title", "") or self.opts.verbose_name_plural
        title = {"title": capfirst(str(name))}
        return self.excused(request, lambda: view(request, title | (extra_context or {})))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """What is in use is refused with who uses it; `?force=true` pauses these first."""
        view = super().delete_view
        answer = self.excused(request, lambda: view(request, object_id, extra_context), request.path)
        if getattr(request, "is_used", False):
            self.message_user(request, _all_the_same(request), messages.WARNING)
        return answer

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """What definitions name keeps the name by which they do."""
        before = self.model._default_manager.filter(pk=obj.pk).first() if change else None
        if before is not None:
            try:
                check_renaming(before, obj)
            except ConflictError as error:
                raise in_words(error) from error
        super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        try:
            release_row(obj, force=request.GET.get("force") == "true")
        except ConflictError as error:
            request.is_used = error.code == "in_use"  # type: ignore[attr-defined]
            raise in_words(error) from error
        _refusing_what_is_in_use(lambda: super(CapturedAdmin, self).delete_model(request, obj))

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet) -> None:
        for row in queryset:
            try:
                release_row(row)
            except ConflictError as error:
                raise in_words(error) from error
        _refusing_what_is_in_use(lambda: super(CapturedAdmin, self).delete_queryset(request, queryset))


class CapturedInline(PolicyMixin, TabularInline):
    """A table of rows that belong to the page's own, saved with it."""

    extra = 0
    tab = True


def in_words(error: ConflictError) -> ConflictError:
    """A refusal whose message names the issues that the API lists one by one."""
    named = "; ".join(f"{issue.field}: {issue.message}" for issue in error.issues[:NAMED])
    message = error.brief if isinstance(error, InUseError) else error.message
    return ConflictError(f"{message}. {named}" if named else message, code=error.code, issues=error.issues)


def _all_the_same(request: HttpRequest) -> str:
    return format_html(
        _(
            'Change these first, or <a href="{}?force=true" class="underline">delete it all the same</a>:'
            " what uses it is paused then, and its owners are notified."
        ),
        request.path,
    )


def _refusing_what_is_in_use(delete: Callable[[], None]) -> None:
    """Raise ConflictError where a constraint says that others refer to what `delete` deletes."""
    try:
        delete()
    except IntegrityError as error:
        if getattr(error.__cause__, "sqlstate", "") != FOREIGN_KEY_VIOLATION:
            raise
        raise ConflictError(_("Others still refer to this."), code="protected") from error
