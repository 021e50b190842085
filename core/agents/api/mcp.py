"""/mcp: the Model Context Protocol over streamable HTTP."""

from typing import Any

import orjson
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from core.agents import sessions
from core.agents.api.authentication import GrantAuthentication
from core.agents.calls import Caller
from core.agents.models import AgentGrant, AgentSession
from core.api.problems import plain
from core.errors import ForbiddenError

SESSION = "Mcp-Session-Id"
BEGINNING = "initialize"


@extend_schema(exclude=True)  # its document is the protocol's own: tools/list
class McpView(APIView):
    """One message in, one answer out. Nothing is pushed to clients, so there is no stream to open."""

    http_method_names = ["post", "delete"]
    authentication_classes = [GrantAuthentication]
    permission_classes = [IsAuthenticated]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if not settings.MCP_ENABLED:
            raise Http404
        _check_origin(request._request)
        super().initial(request, *args, **kwargs)

    def post(self, request: Request) -> HttpResponse:
        grant: Any = request.auth
        body = request._request.body
        is_beginning = _is_beginning(body)
        session = sessions.begin(grant) if is_beginning else _session(request, grant)
        if session is None:
            return _no_session(request._request)
        response = _answer(request._request, session, body)
        if is_beginning:
            response[SESSION] = session.token.hex
        return response

    def delete(self, request: Request) -> HttpResponse:
        """The client ends its session."""
        grant: Any = request.auth
        session = sessions.find(grant, request.headers.get(SESSION, ""))
        if session is None:
            return _no_session(request._request)
        sessions.end(session)
        return HttpResponse(status=204)


def _check_origin(request: HttpRequest) -> None:
    """A page that a browser was lured to has an origin of its own. Raises ForbiddenError."""
    origin = request.headers.get("Origin")
    own = f"{request.scheme}://{request.get_host()}"
    if origin is not None and origin not in (own, *settings.CORS_ALLOWED_ORIGINS):
        raise ForbiddenError("Pages of this origin may not call this address.")


def _is_beginning(body: bytes) -> bool:
    """Whether the message begins a session. What is no message at all is the protocol's to refuse."""
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(message, dict) and message.get("method") == BEGINNING


def _session(request: Request, grant: AgentGrant) -> AgentSession | None:
    token = request.headers.get(SESSION)
    return sessions.present(grant) if token is None else sessions.find(grant, token)


def _no_session(request: HttpRequest) -> HttpResponse:
    """As the protocol says it: the client then begins a new one."""
    return plain(404, "not_found", "There is no such session, or it has ended.", request)


def _answer(request: HttpRequest, session: AgentSession, body: bytes) -> HttpResponse:
    # 45 MB and more than a second: only for whoever has AI clients.
    from core.agents import protocol

    scope = _scope(request)
    answer = protocol.answer(Caller(session, scope), scope, body)
    headers = {name: value for name, value in answer.headers if name != "content-length"}
    return HttpResponse(answer.body, status=answer.status, headers=headers)


def _scope(request: HttpRequest) -> dict[str, Any]:
    """The request as ASGI says it, without its credential."""
    headers = [
        (name.lower().encode(), value.encode("latin-1", "replace"))
        for name, value in request.headers.items()
        if name.lower() != "authorization"
    ]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": (request.META.get("REMOTE_ADDR", ""), 0),
        "server": (request.META.get("SERVER_NAME", ""), int(request.META.get("SERVER_PORT") or 0)),
    }
