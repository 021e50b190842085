"""/scim/v2/: who may, and how requests and errors become the protocol's."""

import re
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpResponse
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.views import APIView

from core.access import Permission, role_allows, scopes
from core.accounts.api.authentication import ApiKeyAuthentication
from core.api.permissions import SignedIn
from core.api.rendering import JSONParser, JSONRenderer
from core.api.transactions import TransactionMixin

PATH = "/scim/v2"
MEDIA_TYPE = "application/scim+json"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
SEARCH = "/.search"
MAX_OPERATIONS = 500
# Of a surrogate pair, as a path may escape it.
HALF = re.compile(r"\\u[dD][89a-fA-F]")


class ScimRenderer(JSONRenderer):
    media_type = MEDIA_TYPE


class IdentityProvider(SignedIn):
    """An API key that names the scope, of who is an administrator now."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return super().has_permission(request, view) and self._is_administrator(request)

    def _covers(self, request: Request) -> bool:
        writing = request.method not in SAFE_METHODS and not request.path.endswith(SEARCH)
        if scopes.is_limited(request.user) and scopes.covers(request.user, scopes.SCIM, writing=writing):
            return True
        self.message, self.code = scopes.MESSAGE, "scope_missing"
        return False

    def _is_administrator(self, request: Request) -> bool:
        self.message = gettext_lazy("Only keys of administrators manage users and groups.")
        self.code = "permission_denied"
        return role_allows(request.user, Permission.CONFIGURE)


@extend_schema(exclude=True)  # its documents are the protocol's own: Schemas, ResourceTypes
class ScimView(TransactionMixin, APIView):
    """All of the protocol, whose library knows the addresses below. Sessions do not count here: a person
    manages users by /api/v1/users/."""

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [IdentityProvider]
    renderer_classes = [ScimRenderer, JSONRenderer]
    keeps_answers = False

    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._served(request)

    def post(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._served(request)

    def put(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._served(request)

    def patch(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._served(request)

    def delete(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._served(request)

    def _served(self, request: Request) -> HttpResponse:
        # A second and some memory: only for whoever is managed by an identity provider.
        from scim2_server.handler import ScimHandler
        from scim2_server.requests import ScimRequest

        from core.accounts.scim.resources import service
        from core.accounts.scim.storage import DirectoryStorage

        actor: Any = request.user
        storage = DirectoryStorage(actor, writing=request.method in ("PUT", "PATCH", "DELETE"))
        asked = ScimRequest(
            method="GET" if request.method == "HEAD" else str(request.method),
            base_url=f"{settings.PUBLIC_URL.rstrip('/')}{PATH}",
            path=request.path.removeprefix(PATH) or "/",
            query=request.query_params.dict(),
            headers={name: value for name, value in request.headers.items() if name != "Authorization"},
            subject=actor,
        )
        # What is at no address, or by no such method, is refused before its body is read.
        service().match(asked)
        asked.body = _body(request)
        return _http(ScimHandler(service(), storage).handle(asked))

    def handle_exception(self, exc: Exception) -> Any:
        answer = _of_protocol(exc)
        if answer is not None:
            return answer
        made = super().handle_exception(exc)
        document = {"schemas": [ERROR], "status": str(made.status_code), "detail": made.data["detail"]}
        if isinstance(exc, ParseError):
            document["scimType"] = "invalidSyntax"
        headers = {name: made[name] for name in ("WWW-Authenticate", "Retry-After") if name in made}
        return _json(made.status_code, document, headers)


def _of_protocol(exc: Exception) -> HttpResponse | None:
    """What the library, or the storage in its words, has refused."""
    if not type(exc).__module__.startswith(("scim2_models.", "scim2_server.")):
        return None
    from core.accounts.scim.resources import service

    return _http(service().error_response(exc))


def _body(request: Request) -> bytes:
    """The body, bounded in its depth and width as all are (core.api.body_limits)."""
    from scim2_models import InvalidSyntaxException, PayloadTooLargeException

    if request.method in SAFE_METHODS or request.method == "DELETE":
        return b""
    # Read once: after a deadlock the request is carried out again.
    kept = getattr(request._request, "scim_body", None)
    if kept is not None:
        return bytes(kept)
    value = JSONParser().parse(request._request, None, {"request": request})
    operations = _operations(value)
    if len(operations) > MAX_OPERATIONS:
        raise PayloadTooLargeException(detail=f"At most {MAX_OPERATIONS} operations.")
    for operation in operations:
        # Okta says of what it changes which it is, and ids are not to be changed.
        if isinstance(operation, dict) and isinstance(operation.get("value"), dict):
            operation["value"].pop("id", None)
    text = orjson.dumps(value)
    if b"\\u0000" in text:
        raise InvalidSyntaxException(detail="Texts have no null characters.")
    if any(HALF.search(str(one.get("path"))) for one in operations if isinstance(one, dict)):
        raise InvalidSyntaxException(detail="path: halves of surrogate pairs are no text.")
    request._request.scim_body = text  # type: ignore[attr-defined]
    return text


def _operations(value: Any) -> list[Any]:
    found = value.get("Operations", value.get("operations")) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _http(answer: Any) -> HttpResponse:
    return _json(int(answer.status), answer.body, answer.headers)


def _json(status: int, body: Any, headers: dict[str, str]) -> HttpResponse:
    text = b"" if body is None else orjson.dumps(body)
    kept = {name: value for name, value in headers.items() if name.lower() != "content-type"}
    made = HttpResponse(text, status=status, content_type=MEDIA_TYPE, headers=kept)
    made["Cache-Control"] = "no-store"
    return made
