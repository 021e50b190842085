"""E-mail templates in the admin site: written, looked at for a record, and sent to oneself. They are checked
by the API's serializer; who writes them writes automation, everyone signed in reads them."""

from typing import Any, cast
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import ValidationError
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget

from core.access import Permission
from core.admin import columns, verbs
from core.admin.captured import CapturedAdmin, CapturedForm
from core.admin.navigation import AUTOMATE, Menu
from core.api import preconditions
from core.entities import entities
from core.errors import DomainError, InvalidError
from core.mail.models import EmailMessage, EmailTemplate
from core.workflows import templating
from core.workflows.actions.messages import PARTS
from core.workflows.api.email_templates import known, preview_run
from core.workflows.api.serializers import EmailTemplateSerializer
from core.workflows.run_context import RunContext
from core.workflows.trying import TryForm, record_shown

WRITTEN = ("key", "name", "entity", "subject", "text", "html", "transactional")


class EmailTemplateForm(CapturedForm):
    """Checked by the API's serializer, in the state in which it was opened."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput, label="")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "entity" not in self.fields:
            return
        names = [(one.name, str(capfirst(one.model._meta.verbose_name))) for one in entities]
        self.fields["entity"] = forms.ChoiceField(
            choices=[("", "-"), *names],
            required=False,
            widget=UnfoldAdminSelectWidget,
            label=_("About"),
            help_text=_("What the mail is about, if that is fixed: its fields are what the texts can read."),
        )
        self.fields["seen"].initial = self._tag() if self.instance.pk else ""

    def _tag(self) -> str:
        stored = EmailTemplate.objects.get(pk=self.instance.pk)
        return preconditions.tag_shown(self._serializer(stored))

    def _serializer(self, row: Any, **options: Any) -> EmailTemplateSerializer:
        return EmailTemplateSerializer(row, context={"request": self.request}, **options)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.instance.pk and cleaned.get("seen") != self._tag():
            self.add_error(None, _("Somebody else saved this template since you opened it."))
        if not self.errors:
            self._check({name: cleaned[name] for name in WRITTEN if name in cleaned})
        return cleaned

    def _check(self, data: dict[str, Any]) -> None:
        stored = EmailTemplate.objects.filter(pk=self.instance.pk).first()
        try:
            self._serializer(stored, data=data, partial=stored is not None).is_valid(raise_exception=True)
        except ValidationError as error:
            for name, texts in cast(dict[str, Any], error.detail).items():
                self.add_error(name if name in self.fields else None, [str(text) for text in texts])
        except DomainError as error:
            self.show(error)


@admin.register(EmailTemplate)
class EmailTemplateAdmin(CapturedAdmin):
    menu = Menu(AUTOMATE, "drafts", 30)
    form = EmailTemplateForm
    list_display = ("key", "name", "entity", "shown_updated")
    shown_updated = columns.moment("updated_at")
    list_filter_submit = False
    search_fields = ("key", "name")
    ordering = ("name", "id")
    fields = (("key", "name"), "entity", "subject", "text", "html", "transactional", "seen")
    change_form_before_template = "admin/core/email_template.html"
    actions_detail = ("preview",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who only reads them has seen nothing to send back."""
        may = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return self.fields if may else [name for name in self.fields if name != "seen"]

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """With what its texts can read."""
        response = super().changeform_view(request, *args, **kwargs)
        shown = getattr(response, "context_data", None) or {}
        if template := shown.get("original"):
            shown["placeholders"] = known(template.entity, request.user) if template.entity else []
        return response

    def save_model(self, request: HttpRequest, obj: EmailTemplate, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)

    @action(description=gettext_lazy("Preview"), permissions=["view"], url_path="preview", icon="visibility")
    def preview(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The mail for a record that one sees; sent to oneself if that is asked for."""
        template = self.get_object(request, object_id)
        if template is None:
            raise Http404
        form = TryForm(request, template.entity)
        mail, error = None, ""
        if form.is_valid():
            try:
                mail = _rendered(template, form.cleaned_data, request.user)
                if "send" in request.POST:
                    self.acting(request, lambda: self._send(request, template, mail))
            except DomainError as refused:
                error = str(refused)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Preview of %(name)s") % {"name": template},
            "opts": self.opts,
            "original": template,
            "form": form,
            "mail": mail,
            "error": error,
            "sent": verbs.SENT,
            "may_send": self.has_change_permission(request, template) and bool(_address(request)),
        }
        return TemplateResponse(request, "admin/core/email_preview.html", context)

    def _send(self, request: HttpRequest, template: EmailTemplate, mail: Any) -> HttpResponse:
        """Raises Http404 for who may not write mails."""
        address = _address(request)
        if not self.may(request, Permission.CHANGE, template) or not address:
            raise Http404
        EmailMessage.objects.create(
            key=f"test-{uuid4().hex}",
            to=[address],
            sender_id=request.user.pk,
            transactional=True,
            **mail["parts"],
        )
        self.message_user(request, _("Sent to %(address)s.") % {"address": address}, messages.SUCCESS)
        return HttpResponse()


def _address(request: HttpRequest) -> str:
    user: Any = request.user
    return str(user.email)


def _rendered(template: EmailTemplate, given: dict[str, Any], user: Any) -> dict[str, Any]:
    """The mail as this user's rights make it. Raises InvalidError, NotVisibleError."""
    if not given.get("record"):
        raise InvalidError.of("record", _("Name a record to render the mail for."), "required")
    name, pk = given["entity"], given["record"]
    run = preview_run({"entity": name, "object_id": pk, "data": {}})
    context = RunContext(run, user).context
    parts = {part: templating.render(getattr(template, part), context, how) for part, how in PARTS}
    return {"parts": parts, "record": record_shown(name, pk, user)}
