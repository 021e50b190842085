"""The page that makes and changes a workflow. Every button sends the whole form; only `save` stores
something."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError

from core.access import Permission
from core.admin import verbs
from core.admin.home import list_url, page_url
from core.api import preconditions
from core.errors import DomainError, InvalidError, StaleVersionError
from core.workflows import definition, inbound
from core.workflows.api.serializers import WorkflowSerializer
from core.workflows.builder import drafts
from core.workflows.builder.drafts import Draft
from core.workflows.builder.page import DrawnDraft
from core.workflows.models import Workflow
from core.workflows.saving import take_up
from core.workflows.trying import TryForm, asked_days, looked_back, tried

SAVE, TRY, LOOK_BACK = "save", "try", "backtest"
SEEN = "seen"
# What a new workflow begins with.
BLANK = {"trigger_type": "record_created", "trigger_conditions": {}, "actions": []}
Issues = list[tuple[str, str]]


class WorkflowForm:
    """One request for the page of a workflow, or of a new one (None)."""

    def __init__(self, page: Any, request: HttpRequest, workflow: Workflow | None) -> None:
        self.page, self.request, self.workflow = page, request, workflow
        self.stored = _shown_definition(workflow) if workflow else BLANK
        self.issues: Issues = []
        self.status = 200
        self.more: dict[str, Any] = {}
        self.draft = drafts.sent(request.POST) if request.method == "POST" else self._first()
        self.try_form = TryForm(request, _word(self.draft, "model"))

    def answer(self) -> HttpResponse:
        command = self.request.POST.get("do", "") if self.request.method == "POST" else ""
        if command in (SAVE, TRY, LOOK_BACK):
            self.draft = drafts.tidy(self.draft)
        if command == SAVE:
            try:
                return self.page.acting(self.request, self._save)
            except (DomainError, ValidationError) as error:
                self._refused(error)
        elif command in (TRY, LOOK_BACK):
            self._ask(command)
        elif command:
            self.draft = drafts.edited(self.draft, command)
        return self._shown()

    def _first(self) -> Draft:
        """What the form holds when it is opened."""
        row = self.workflow
        made = drafts.draft_of(self.stored, self.request.user)
        if row is None:
            return made | {"status": Workflow.Status.DRAFT.value}
        run_as = str(row.run_as_id or "")
        return made | {
            "name": row.name,
            "description": row.description,
            "status": row.status,
            "run_as": run_as,
        }

    # -- saving

    def _save(self) -> HttpResponse:
        """Raises DomainError, ValidationError."""
        row = self._locked()
        serializer = self._checked(row)
        extra = {} if row else {"created_by": self.request.user}
        saved = serializer.save(**extra)
        secret = take_up(saved)
        if secret:
            return self._with_secret(saved, secret)
        self.page.message_user(
            self.request, _("Saved as version %(n)s.") % {"n": saved.version}, messages.SUCCESS
        )
        return HttpResponseRedirect(page_url(Workflow, saved.pk))

    def _locked(self) -> Workflow | None:
        """The row, in the state in which the form was opened. Raises StaleVersionError."""
        if self.workflow is None:
            return None
        rows = Workflow.objects.visible_to(self.request.user, Permission.CHANGE)
        row = rows.select_for_update(of=("self",)).filter(pk=self.workflow.pk).first()
        if row is None:
            raise Http404
        present = self._tag(row)
        if self.request.POST.get(SEEN) != present:
            raise StaleVersionError(_("Somebody else saved this workflow since you opened it."), present)
        return row

    def _tag(self, row: Workflow) -> str:
        return preconditions.tag_shown(WorkflowSerializer(row, context={"request": self.request}))

    def _checked(self, row: Workflow | None) -> WorkflowSerializer:
        """What the form says, checked as the API checks it. Raises DomainError, ValidationError."""
        made = drafts.definition_of(self.draft, self.request.user)
        parts = drafts.with_what_stays(made, self.stored, self.request.user) if row else made
        data = {
            name: self.draft[name] for name in ("name", "description", "status") if name in self.draft
        } | parts
        if run_as := _word(self.draft, "run_as"):
            data["run_as"] = run_as
        serializer = WorkflowSerializer(
            row, data=data, partial=row is not None, context={"request": self.request}
        )
        serializer.is_valid(raise_exception=True)
        return serializer

    def _refused(self, error: DomainError | ValidationError) -> None:
        # Faults are answered as forms of the site are; 412 says that there is a newer state.
        self.status = 412 if isinstance(error, StaleVersionError) else 200
        if isinstance(error, ValidationError):
            self.issues = list(_flat(error.detail, ""))
        elif isinstance(error, InvalidError):
            self.issues = [(drafts.placed(issue.field), issue.message) for issue in error.issues]
        else:
            self.issues = [("", error.message)]
        if self.status == 412:
            self.more["is_stale"] = True

    def _with_secret(self, saved: Workflow, secret: str) -> HttpResponse:
        """The secret of an inbound webhook, which is shown this once."""
        context = {
            **self.page.admin_site.each_context(self.request),
            "title": _("Saved: %(name)s") % {"name": saved},
            "opts": self.page.opts,
            "workflow_url": page_url(Workflow, saved.pk),
            "hook_url": inbound.hook_url(saved),
            "secret": secret,
        }
        return TemplateResponse(self.request, "admin/core/workflow_secret.html", context).render()

    # -- asking

    def _ask(self, command: str) -> None:
        """What the form says, tried without being saved."""
        try:
            serializer = self._checked(self.workflow)
            subject, opened = self._subject(serializer.validated_data)
            if command == TRY:
                self._try(subject, opened)
            else:
                self.more["past"] = looked_back(
                    subject, opened, asked_days(self.request.POST), self.request.user
                )
        except (DomainError, ValidationError) as error:
            self._refused(error)

    def _subject(self, given: Mapping[str, Any]) -> tuple[Workflow, dict[str, Any]]:
        """A workflow that is not stored, and its definition with secrets in clear. Raises InvalidError."""
        row = self.workflow
        made = {part: given.get(part, getattr(row, part, None)) for part in definition.PARTS}
        principal = given.get("run_as", row.run_as if row else self.request.user)
        subject = Workflow(pk=row.pk if row else None, name=given.get("name", ""), run_as=principal, **made)
        opened = made | {"actions": definition.unsealed(made["actions"])}
        definition.check(opened, self.request.user, principal)
        return subject, opened

    def _try(self, subject: Workflow, opened: dict[str, Any]) -> None:
        if self.try_form.is_valid():
            given = self.try_form.cleaned_data
            self.more["result"] = tried(subject, opened, given["entity"], given["record"], self.request.user)

    # -- showing

    def _shown(self) -> HttpResponse:
        page = DrawnDraft(self.draft, self.request.user, self.issues)
        row = self.workflow
        context = {
            **self.page.admin_site.each_context(self.request),
            "title": _("Change %(name)s") % {"name": row} if row else _("A new workflow"),
            "opts": self.page.opts,
            "original": row,
            "built": page.shown,
            "faults": page.faults,
            "count": len(self.issues),
            "media": page.media,
            "seen": self.request.POST.get(SEEN) or (self._tag(row) if row else ""),
            "back": page_url(Workflow, row.pk) if row else list_url(Workflow),
            "sent": verbs.SENT,
            "try_form": self.try_form,
            "days": asked_days(self.request.POST),
            **self.more,
        }
        return TemplateResponse(self.request, "admin/core/workflow_build.html", context, status=self.status)


def _shown_definition(workflow: Workflow) -> dict[str, Any]:
    """The stored definition with its secrets under their mask."""
    made = definition.definition_of(workflow)
    return made | {"actions": definition.masked(made["actions"])}


def _word(draft: Draft, name: str) -> str:
    value = draft.get(name, "")
    return value if isinstance(value, str) else ""


def _flat(detail: Any, path: str) -> Iterator[tuple[str, str]]:
    """The messages of a serializer by place."""
    if isinstance(detail, Mapping):
        for name, below in detail.items():
            yield from _flat(below, f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list):
        for one in detail:
            yield from _flat(one, path)
    else:
        yield drafts.placed(path) if path else "", str(detail)
