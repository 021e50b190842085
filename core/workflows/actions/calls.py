"""The `webhook` action: writes a delivery row; who sends it is core.webhooks."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.utils.translation import gettext

from core.entities import Entity
from core.entities.field_types import Choice, Text
from core.errors import FieldIssue, ValueRefusedError
from core.outbound import addresses, sealing
from core.outbound.client import RESERVED_HEADERS
from core.webhooks.models import WebhookDelivery
from core.workflows import templating
from core.workflows.actions.base import Action, Step, StepResult, params_json, redacted, register
from core.workflows.params import Param, Scope
from core.workflows.templating import HEADER, HTML, JSON, TEXT, URL

METHODS = ("POST", "PUT", "PATCH", "GET", "DELETE")
MAX_BODY = 256 * 1024
MAX_HEADERS = 30


@register
class Webhook(Action):
    """Calls an address outside: a JSON body of templates, signed if a secret is given."""

    name = "webhook"
    params = (
        Param("url", required=True, escaping=URL, help_text="Templates only behind the host."),
        Param("method", Choice(choices=METHODS), template=False),
        Param("headers", help_text="Header → value.", refers_to="texts_by_name"),
        Param("body", help_text="A JSON value whose texts are templates; without one the record itself."),
        Param("secret", Text(max_length=300), template=False),
    )
    # A header may be what lets us in; what none of these is.
    secrets = ("secret", "headers")
    open_names = frozenset(("accept", "accept-language", "content-type"))
    help_text = "Call an external webhook."

    def check_more(self, given: Mapping[str, Any], scope: Scope, path: str) -> list[FieldIssue]:
        issues = self._check_url(given["url"], f"{path}.url")
        return issues + _check_headers(given.get("headers"), f"{path}.headers")

    def reads(self, entity: Entity | None, given: Mapping[str, Any]) -> frozenset[str] | None:
        if given.get("body") is None:
            return None
        return super().reads(entity, {**given, "headers": _opened(given.get("headers"))})

    def _check_url(self, url: Any, path: str) -> list[FieldIssue]:
        """The host is written out, and one that may be called."""
        try:
            addresses.check(_without_templates(url))
        except ValueRefusedError as error:
            return [FieldIssue(path, error.code, error.message)]
        return []

    def values(self, step: Step) -> dict[str, Any]:
        context, given = step.subject.context, step.given
        url = templating.render(given["url"], context, URL)
        # What was rendered into it cannot have moved it to another host.
        fixed, now = addresses.parse_url(_without_templates(given["url"])), addresses.parse_url(url)
        if (fixed.scheme, fixed.host, fixed.port) != (now.scheme, now.host, now.port):
            raise addresses.refused()
        headers = {
            key: templating.render(value, context, HEADER)
            for key, value in _opened(given.get("headers")).items()
        }
        method = (given.get("method") or "POST").upper()
        return {"url": url, "method": method, "headers": headers, "body": self._body(step, method)}

    def _body(self, step: Step, method: str) -> str:
        raw = step.given.get("body")
        if raw is None:
            return "" if method == "GET" else orjson.dumps(params_json(_default_body(step))).decode()
        if isinstance(raw, str):
            return templating.render(raw, step.subject.context, _escaping_for(step.given.get("headers")))
        return orjson.dumps(params_json(templating.value(raw, step.subject.context))).decode()

    def run(self, step: Step) -> StepResult:
        values = self.values(step)
        if len(values["body"]) > MAX_BODY:
            raise ValueRefusedError(gettext("The body is too large."), code="max_length")
        target = addresses.parse_url(values["url"])
        secret = step.given.get("secret") or ""
        row, _ = WebhookDelivery.objects.get_or_create(
            key=step.key,
            defaults={
                **values,
                "headers": {name: sealing.seal(value) for name, value in values["headers"].items()},
                "event": "workflow.webhook",
                "lane": f"{target.host}:{target.port}",
                "secret": sealing.seal(secret) if secret else "",
                "entity": step.run.entity,
                "object_id": step.run.object_id,
                "execution_id": step.run.pk,
            },
        )
        # The rest of an address may be what lets us in, as of an incoming webhook of a chat.
        return StepResult({"delivery_id": row.pk, "host": target.authority})

    def preview(self, step: Step) -> dict[str, Any]:
        return redacted(self, self.values(step))

    def shown(self, given: Mapping[str, Any]) -> dict[str, Any]:
        if "url" in self.secrets:
            return super().shown(given)
        return super().shown(given) | {"url": _shown_url(given.get("url"))}


def _escaping_for(headers: Any) -> str:
    """What a body that is one text is escaped for: by its Content-Type, which is JSON unless it is named."""
    named = {name.lower(): value for name, value in _opened(headers).items()}
    kind = named.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return JSON
    if kind == "application/x-www-form-urlencoded":
        return URL
    return HTML if kind in ("text/html", "text/xml", "application/xml") or kind.endswith("+xml") else TEXT


def _opened(headers: Any) -> dict[str, str]:
    """Headers as they were written; those of a stored definition are sealed."""
    return {str(name): sealing.unseal(str(value)) for name, value in (headers or {}).items()}


def _shown_url(url: Any) -> str:
    """Scheme and host of an address as it is written; its path may be a secret."""
    scheme, _, rest = str(url).partition("://")
    host, slash, _ = rest.partition("/")
    return f"{scheme}://{host}/…" if slash else str(url)


def _default_body(step: Step) -> dict[str, Any]:
    context = step.subject.context
    data = {step.run.entity: context["record"]} if step.subject.entity else {"payload": context["payload"]}
    return {"workflow": context["workflow"], "run": context["run"], "data": data}


def _without_templates(url: Any) -> str:
    """The address up to its first template, which must stand behind the host."""
    text = str(url)
    starts = [at for at in (text.find("{{"), text.find("{%")) if at >= 0]
    if not starts:
        return text
    fixed = text[: min(starts)]
    if fixed.count("/") < 3:
        raise addresses.refused(gettext("Templates may stand only behind the host of an address."))
    return fixed


def _check_headers(headers: Any, path: str) -> list[FieldIssue]:
    if headers is None:
        return []
    if not isinstance(headers, Mapping) or len(headers) > MAX_HEADERS:
        return [
            FieldIssue(
                path,
                "not_an_object",
                gettext("Expected an object of at most %(max_headers)s headers.")
                % {"max_headers": MAX_HEADERS},
            )
        ]
    issues = []
    for name, value in headers.items():
        token = str(name).replace("-", "").replace("_", "")
        if not token.isascii() or not token.isalnum() or str(name).lower() in RESERVED_HEADERS:
            issues.append(
                FieldIssue(f"{path}.{str(name)[:60]}", "invalid", gettext("Not a header that can be set."))
            )
        elif not isinstance(value, str | int):
            issues.append(FieldIssue(f"{path}.{name}", "invalid", gettext("Expected a text.")))
    return issues
