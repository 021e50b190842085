"""Actions that send e-mail and notifications. They only write rows, which mail and notifications send."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext

from core.access import Role
from core.accounts.models import User
from core.entities import Entity
from core.entities.field_types import Choice, Text
from core.errors import FieldIssue, InvalidError
from core.mail import opt_out
from core.mail.models import EmailMessage, EmailTemplate
from core.notifications.models import Notification
from core.workflows import templating
from core.workflows.actions.base import Action, Step, StepRefusedError, StepResult, register
from core.workflows.field_types import TextOrList, UserIds
from core.workflows.params import Param, Scope
from core.workflows.templating import HEADER, HTML, TEXT

LONG = Text(max_length=100_000, trim_whitespace=False)
PARTS = (("subject", HEADER), ("text", TEXT), ("html", HTML))


def template_of(key: Any) -> EmailTemplate | None:
    """The template with this key or id."""
    text = str(key)
    if text.isascii() and text.isdigit():
        return EmailTemplate.objects.filter(pk=int(text[:18])).first()
    return EmailTemplate.objects.filter(key=text).first()


@register
class SendEmail(Action):
    """Writes one mail: from a template, or with subject and body given here."""

    name = "send_email"
    params = (
        Param(
            "template_id",
            Text(max_length=80),
            template=False,
            help_text="Key or id of an e-mail template.",
            refers_to="email_template",
        ),
        Param("subject", Text(max_length=998), escaping=HEADER),
        Param("body", LONG, help_text="Plain text."),
        Param("text", LONG, help_text="Another name of body."),
        Param("html", LONG, escaping=HTML),
        Param("to", TextOrList(), required=True, help_text="Addresses, as a list or with commas between."),
        Param("cc", TextOrList()),
        Param("bcc", TextOrList()),
        Param("reply_to", Text(max_length=320)),
    )
    help_text = "Send an e-mail."

    def check_more(self, given: Mapping[str, Any], scope: Scope, path: str) -> list[FieldIssue]:
        if given.get("template_id"):
            return self._check_template(given["template_id"], scope, f"{path}.template_id")
        if given.get("body") and given.get("text"):
            return [
                FieldIssue(f"{path}.text", "given_twice", gettext("Given under two names: body and text."))
            ]
        if not given.get("subject") or not any(given.get(name) for name in ("body", "text", "html")):
            return [FieldIssue(path, "required", gettext("Give template_id, or subject and body or html."))]
        return [
            FieldIssue(
                f"{path}.{name}",
                "invalid",
                gettext("Not an e-mail address: %(address)s.") % {"address": address[:100]},
            )
            for name in ("to", "cc", "bcc")
            for address in TextOrList().to_internal_value(given.get(name) or [])
            if not templating.is_template(address) and not is_address(address)
        ]

    def reads(self, entity: Entity | None, given: Mapping[str, Any]) -> frozenset[str] | None:
        """What an e-mail template reads is only known when it is sent."""
        return None if given.get("template_id") else super().reads(entity, given)

    def _check_template(self, key: Any, scope: Scope, path: str) -> list[FieldIssue]:
        found = template_of(key)
        if found is None:
            return [FieldIssue(path, "does_not_exist", gettext("There is no such e-mail template."))]
        try:
            for part, escaping in PARTS:
                templating.check(getattr(found, part), scope.names, escaping)
        except templating.TemplateRefusedError as error:
            return [
                FieldIssue(
                    path,
                    error.code,
                    gettext("The template does not fit here: %(message)s") % {"message": error.message},
                )
            ]
        return []

    def values(self, step: Step) -> dict[str, Any]:
        """The mail: addresses checked, template rendered for where each part lands."""
        found = super().values(step)
        mail = {
            "subject": found.get("subject", ""),
            "text": found.get("body") or found.get("text", ""),
            "html": found.get("html", ""),
        }
        template = template_of(found["template_id"]) if found.get("template_id") else None
        if found.get("template_id") and template is None:
            raise InvalidError.of(
                "template_id", gettext("There is no such e-mail template."), "does_not_exist"
            )
        if template is not None:
            context = step.subject.context
            mail = {part: templating.render(getattr(template, part), context, how) for part, how in PARTS}
        people = {name: _addresses(found.get(name) or [], name) for name in ("to", "cc", "bcc")}
        if not people["to"]:
            raise StepRefusedError(gettext("There is nobody to send it to."), code="no_recipient")
        mail |= {"reply_to": found.get("reply_to", ""), "template": template}
        return mail | self._with_consent(people, template is not None and template.transactional)

    def _with_consent(self, people: dict[str, list[str]], transactional: bool) -> dict[str, Any]:
        """Whom it may go to: without those who opted out, unless it is transactional. Nobody is left in `to`
        where all of them did."""
        gone = set() if transactional else opt_out.opted_out(a for given in people.values() for a in given)
        kept = {name: opt_out.without(given, gone) for name, given in people.items()}
        return {**kept, "transactional": transactional}

    def run(self, step: Step) -> StepResult:
        mail = self.values(step)
        if not mail["to"]:
            return StepResult(skipped=opt_out.REASON)
        row, _ = EmailMessage.objects.get_or_create(
            key=step.key,
            defaults={
                **mail,
                "entity": step.run.entity,
                "object_id": step.run.object_id,
                "execution_id": step.run.pk,
                "sender_id": step.user.pk if step.user else None,
            },
        )
        return StepResult({"message_id": row.pk, "to": row.to, "subject": row.subject})

    def preview(self, step: Step) -> dict[str, Any]:
        mail = self.values(step)
        if not mail["to"]:
            return {"skipped": opt_out.REASON}
        return mail | {"template": mail["template"].key if mail["template"] else None}


def is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 320


def _addresses(given: list[str], name: str) -> list[str]:
    """Each address once. Raises InvalidError for what is none."""
    found = list(dict.fromkeys(given))
    for address in found:
        if not is_address(address):
            raise InvalidError.of(
                name, gettext("Not an e-mail address: %(address)s.") % {"address": repr(address[:100])}
            )
    return found


@register
class SendNotification(Action):
    """Puts a message into inboxes: of named users, or of whom the record belongs to."""

    name = "send_notification"
    params = (
        Param("message", Text(max_length=5_000, trim_whitespace=False), required=True),
        Param("title", Text(max_length=300)),
        Param("user_id", UserIds(), help_text="One user or several.", refers_to="user"),
        Param("to", Choice(choices=("assignee", "owner", "principal", "admins")), template=False),
    )
    help_text = "Notify users."

    def run(self, step: Step) -> StepResult:
        values = self.values(step)
        ids = self._recipients(step, values)
        title = values.get("title") or values["message"].partition("\n")[0]
        rows = [
            Notification(
                recipient_id=user,
                type="workflow",
                title=title[:300],
                body=values["message"],
                entity=step.run.entity,
                object_id=step.run.object_id,
                key=step.key,
            )
            for user in ids
        ]
        name = step.run.workflow.name
        Notification.objects.notify_grouped(
            rows, f"workflow:{step.run.workflow_id}:{step.path}", f"more from the workflow {name!r}"
        )
        return StepResult({"recipients": ids})

    def _recipients(self, step: Step, values: Mapping[str, Any]) -> list[int]:
        wanted = values.get("user_id") or self._belonging(step, values.get("to"))
        # A record nobody owns, moved by the system: the administrators hear of it.
        admins = User.objects.filter(is_active=True, role=Role.ADMIN).order_by("pk")
        return step.subject.batch.cache.users.active(wanted) or list(admins.values_list("pk", flat=True))

    def _belonging(self, step: Step, to: str | None) -> list[int]:
        if to == "admins":
            return []
        if to == "principal" or step.subject.entity is None:
            return [step.user.pk] if step.user else []
        assignee, owner = step.subject.belonging
        principal = step.user.pk if step.user else None
        order = (owner, assignee, principal) if to == "owner" else (assignee, owner, principal)
        return [next((pk for pk in order if pk), 0)]
