"""/api/auth/: sign in, stay so, sign out; one's own account, sessions and keys."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, Throttled, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.accounts import keys, sessions
from core.accounts.api.auth_serializers import (
    ApiKeyPage,
    ApiKeySerializer,
    EndedAnswer,
    LoginAnswer,
    LoginBody,
    LogoutBody,
    MeSerializer,
    NewApiKeyAnswer,
    PasswordBody,
    RefreshBody,
    SessionPage,
    SessionSerializer,
    TokensAnswer,
    check_password,
)
from core.accounts.api.authentication import (
    CHALLENGE,
    ApiKeyAuthentication,
    SessionJWTAuthentication,
    bearer,
    count_refused,
)
from core.accounts.attempts import Attempt, TooManyAttemptsError
from core.accounts.models import Session, User
from core.accounts.origin import origin_of
from core.accounts.sessions import Issued
from core.accounts.tokens import CrmToken, TokenRefusedError, read_access, read_refresh
from core.api import preconditions
from core.api.pagination import numbered
from core.api.parameters import PAGES, KnownParametersMixin, record_id
from core.api.permissions import OwnAccount, SignedInByPassword
from core.api.transactions import TransactionMixin
from core.errors import NotVisibleError

REFUSED = "No active user has this name and password."


@extend_schema(tags=["auth"])
class AuthView(KnownParametersMixin, TransactionMixin, APIView):
    """Base of these views. What they answer is never kept by caches in between."""

    authentication_classes: list[Any] = [SessionJWTAuthentication, ApiKeyAuthentication]
    permission_classes = [SignedInByPassword]
    keeps_answers = False  # they hold secrets

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(*args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    def checked(self, serializer: Any) -> dict[str, Any]:
        """The body as the serializer understands it. Raises ValidationError."""
        body = serializer(data=self.request.data)
        body.is_valid(raise_exception=True)
        return body.validated_data


class _OpenView(AuthView):
    """Needs no token; a stale one in the header does not matter. Its writes commit as they happen: the end of
    a stolen session must survive the refusal."""

    permission_classes = [AllowAny]
    authentication_classes = []
    writes_in_transaction = False

    def get_authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class LoginView(_OpenView):
    @extend_schema(operation_id="auth_login", request=LoginBody, responses=LoginAnswer)
    def post(self, request: Request) -> Response:
        """Sign in with name, or e-mail address, and password."""
        body, origin = self.checked(LoginBody), origin_of(request._request)
        attempt = admitted(Attempt.by(body["username"], origin))
        user = sessions.proven(request._request, body["username"], body["password"])
        if user is None:
            raise AuthenticationFailed(REFUSED, "no_such_sign_in")
        attempt.succeeded()
        issued = sessions.begin(user, origin)
        return Response(tokens(issued) | {"user": MeSerializer(user).data})


class RefreshView(_OpenView):
    @extend_schema(operation_id="auth_refresh", request=RefreshBody, responses=TokensAnswer)
    def post(self, request: Request) -> Response:
        """Change a refresh token for new tokens, once."""
        try:
            return Response(tokens(sessions.renew(self.checked(RefreshBody)["refresh"])))
        except TokenRefusedError as error:
            count_refused(request)
            raise AuthenticationFailed(error.message, error.code) from error


class LogoutView(_OpenView):
    @extend_schema(operation_id="auth_logout", request=LogoutBody, responses={204: None})
    def post(self, request: Request) -> Response:
        """Sign out: end the session of the access token, or else of the refresh token in the body."""
        token = self._token(self.checked(LogoutBody).get("refresh"))
        Session.objects.filter(pk=token.session_id, user=token.user_id).end(Session.Ending.LOGGED_OUT)
        return Response(status=204)

    def _token(self, refresh: str | None) -> CrmToken:
        """Whichever of the two is valid: an access token that ran out does not keep anyone signed in."""
        refusal: Exception = NotAuthenticated()
        for text, read in ((bearer(self.request), read_access), (refresh, read_refresh)):
            try:
                if text is not None:
                    return read(text)
            except TokenRefusedError as error:
                refusal = AuthenticationFailed(error.message, error.code)
        if isinstance(refusal, AuthenticationFailed):
            count_refused(self.request)
        raise refusal


class MeView(AuthView):
    permission_classes = [OwnAccount]

    @extend_schema(operation_id="auth_me", responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """One's own account."""
        return self._shown(request.user)

    @extend_schema(operation_id="auth_me_update", request=MeSerializer(partial=True), responses=MeSerializer)
    def patch(self, request: Request) -> Response:
        """Change one's own name, phone or time zone."""
        user = User.objects.select_for_update().get(pk=request.user.pk)
        preconditions.check_tag(request, lambda: self._shown(user)["ETag"])
        body = MeSerializer(user, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        return self._shown(body.save())

    def _shown(self, user: User) -> Response:
        shown = MeSerializer(user)
        return Response(shown.data, headers={"ETag": preconditions.tag_shown(shown)})


class PasswordView(AuthView):
    @extend_schema(operation_id="auth_password", request=PasswordBody, responses={204: None})
    def post(self, request: Request) -> Response:
        """Change one's own password; ends all other sessions."""
        body, user = self.checked(PasswordBody), request.user
        self._prove(body["current_password"])
        try:
            check_password(body["new_password"], user)
        except ValidationError as error:
            raise ValidationError({"new_password": error.detail}) from error
        sessions.change_password(user, body["new_password"], request.auth)
        return Response(status=204)

    def _prove(self, password: str) -> None:
        attempt = admitted(Attempt(self.request.user.username, origin_of(self.request._request)))
        if not sessions.is_password(self.request.user, password):
            raise ValidationError({"current_password": ["This is not your password."]}, "incorrect")
        attempt.succeeded()


class SessionsView(AuthView):
    taking = {"get": PAGES}

    @extend_schema(operation_id="auth_sessions", responses=SessionPage)
    def get(self, request: Request) -> Response:
        """One's own sessions that still live."""
        rows = request.user.sessions.live()
        return Response(numbered(request, rows, self._shown).body())

    def _shown(self, rows: Any) -> Any:
        return SessionSerializer(rows, many=True, context={"request": self.request}).data

    @extend_schema(operation_id="auth_sessions_end_others", responses=EndedAnswer)
    def delete(self, request: Request) -> Response:
        """End all one's own sessions but this."""
        mine = request.auth.pk if isinstance(request.auth, Session) else None
        ended = request.user.sessions.exclude(pk=mine).end(Session.Ending.ENDED)
        return Response({"ended": ended})


class SessionView(AuthView):
    @extend_schema(operation_id="auth_sessions_end", responses={204: None})
    def delete(self, request: Request, pk: str) -> Response:
        """End one of one's own sessions."""
        if not request.user.sessions.filter(pk=record_id(pk)).end(Session.Ending.ENDED):
            raise NotVisibleError("Not found.")
        return Response(status=204)


class ApiKeysView(AuthView):
    taking = {"get": PAGES}

    @extend_schema(operation_id="auth_api_keys", responses=ApiKeyPage)
    def get(self, request: Request) -> Response:
        """One's own API keys, the revoked ones too."""
        rows = request.user.api_keys.all()
        return Response(numbered(request, rows, lambda r: ApiKeySerializer(r, many=True).data).body())

    @extend_schema(
        operation_id="auth_api_keys_create", request=ApiKeySerializer, responses={201: NewApiKeyAnswer}
    )
    def post(self, request: Request) -> Response:
        """Make an API key; the answer is the only one that shows it."""
        body = self.checked(ApiKeySerializer)
        key, text = keys.make(request.user, **body)
        return Response(ApiKeySerializer(key).data | {"key": text}, 201)


class ApiKeyView(AuthView):
    @extend_schema(operation_id="auth_api_keys_revoke", responses={204: None})
    def delete(self, request: Request, pk: str) -> Response:
        """Revoke an API key."""
        key = request.user.api_keys.filter(pk=record_id(pk)).first()
        if key is None:
            raise NotVisibleError("Not found.")
        keys.revoke(key)
        return Response(status=204)


def admitted(attempt: Attempt) -> Attempt:
    """The attempt, counted. Raises Throttled."""
    try:
        attempt.admit()
    except TooManyAttemptsError as error:
        raise Throttled(wait=error.wait_s, detail=error.message) from error
    return attempt


def tokens(issued: Issued) -> dict[str, Any]:
    """A pair of tokens as clients get it."""
    return {
        "access": issued.access,
        "refresh": issued.refresh,
        "token_type": "Bearer",
        "expires_in": int(settings.JWT_ACCESS_LIFETIME.total_seconds()),
        "refresh_expires_at": issued.session.expires_at,
        "session": issued.session.pk,
    }
