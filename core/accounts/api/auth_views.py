"""/api/auth/: sign in, stay so, sign out; one's own account, sessions and keys."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, Throttled, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from core.accounts import keys, passkeys, password_mails, second_factor, sessions
from core.accounts.api.auth_serializers import (
    ApiKeySerializer,
    EndedAnswer,
    LoginAnswer,
    LoginBody,
    LogoutBody,
    MeSerializer,
    NewApiKeyAnswer,
    NewSecondFactorAnswer,
    PasswordBody,
    PasswordLinkBody,
    PasswordProofBody,
    PasswordResetBody,
    ProofOfBothBody,
    RecoveryCodesAnswer,
    RefreshBody,
    SecondFactorAnswer,
    SecondFactorCodeBody,
    SecondFactorProofBody,
    SessionSerializer,
    SingleSignOnAnswer,
    SingleSignOnBody,
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
from core.accounts.models import ApiKey, Session, SessionQuerySet, User
from core.accounts.origin import Origin, origin_of
from core.accounts.passkeys import GivenProof, PasskeyRefusedError
from core.accounts.password_mails import LinkRefusedError
from core.accounts.second_factor import CodeRefusedError
from core.accounts.sessions import Issued
from core.accounts.single_sign_on import codes
from core.accounts.single_sign_on import provider as single_sign_on
from core.accounts.tokens import CrmToken, TokenRefusedError, read_access, read_refresh
from core.api import preconditions
from core.api.pagination import PageNumberPagination
from core.api.parameters import PAGES, KnownParametersMixin, record_id
from core.api.permissions import OwnAccount, SignedInByPassword
from core.api.request_ids import request_id_of
from core.api.transactions import TransactionMixin
from core.changes import audit_context
from core.errors import InvalidError, NotVisibleError

REFUSED = gettext_noop("No active user has this name and password.")


@extend_schema(tags=["auth"])
class AuthView(KnownParametersMixin, TransactionMixin, APIView):
    """Base of these views. What they answer is never kept by caches in between."""

    authentication_classes: list[Any] = [SessionJWTAuthentication, ApiKeyAuthentication]
    permission_classes = [SignedInByPassword]
    keeps_answers = False  # they hold secrets

    @property
    def user(self) -> User:
        """Whoever is signed in."""
        return cast(User, self.request.user)

    @property
    def session(self) -> Session | None:
        """The session by which they are."""
        return self.request.auth if isinstance(self.request.auth, Session) else None

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(*args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    def checked(self, serializer: Any) -> dict[str, Any]:
        """The body as the serializer understands it. Raises ValidationError."""
        body = serializer(data=self.request.data, context={"request": self.request})
        body.is_valid(raise_exception=True)
        return body.validated_data


class OpenView(AuthView):
    """Needs no token; a stale one in the header does not matter. Its writes commit as they happen: the end of
    a stolen session must survive the refusal."""

    permission_classes = [AllowAny]
    authentication_classes = []
    checks_credentials = True
    writes_in_transaction = False

    def get_authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class LoginView(OpenView):
    @extend_schema(operation_id="auth_login", request=LoginBody, responses=LoginAnswer)
    def post(self, request: Request) -> Response:
        """Sign in with a user name or e-mail address and a password."""
        body, origin = self.checked(LoginBody), origin_of(request._request)
        attempt = admitted(Attempt.by(body["username"], origin))
        user = proven(self, body["username"], body["password"])
        by_two = second_proof(user, body.get("code", ""), body.get("passkey"), attempt)
        attempt.succeeded()
        return signed_in(user, origin, second_factor=by_two)


class SingleSignOnView(OpenView):
    @extend_schema(operation_id="auth_single_sign_on", responses=SingleSignOnAnswer)
    def get(self, request: Request) -> Response:
        """Whether single sign-on is set up, and where it begins."""
        there = single_sign_on.is_configured()
        name, url = (settings.OIDC_NAME, reverse("sso-login")) if there else ("", "")
        return Response({"enabled": there, "name": name, "login_url": url})

    @extend_schema(operation_id="auth_single_sign_on_tokens", request=SingleSignOnBody, responses=LoginAnswer)
    def post(self, request: Request) -> Response:
        """Exchange the code of a single sign-on for tokens, once."""
        body = self.checked(SingleSignOnBody)
        found = codes.redeem(body["code"], body["code_verifier"])
        if found is None:
            count_refused(request)
            raise AuthenticationFailed(_("The code is not valid or has expired."), "code_refused")
        user, by_two = found
        return signed_in(user, origin_of(request._request), second_factor=by_two)


class RefreshView(OpenView):
    @extend_schema(operation_id="auth_refresh", request=RefreshBody, responses=TokensAnswer)
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for new tokens, once."""
        try:
            return Response(tokens(sessions.renew(self.checked(RefreshBody)["refresh"])))
        except TokenRefusedError as error:
            count_refused(request)
            raise AuthenticationFailed(error.message, error.code) from error


class LogoutView(OpenView):
    @extend_schema(operation_id="auth_logout", request=LogoutBody, responses={204: None})
    def post(self, request: Request) -> Response:
        """Sign out: end the session of the access token, or of the refresh token in the body."""
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
        """Read your account."""
        return self._shown(self.user)

    @extend_schema(operation_id="auth_me_update", request=MeSerializer(partial=True), responses=MeSerializer)
    def patch(self, request: Request) -> Response:
        """Change your name, phone or time zone."""
        user = User.objects.select_for_update().get(pk=self.user.pk)
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
        """Change your password; ends all your other sessions."""
        body, user = self.checked(PasswordBody), self.user
        prove_password(self, body["current_password"])
        check_new_password(body["new_password"], user)
        sessions.change_password(user, body["new_password"], self.session)
        return Response(status=204)


class PasswordResetView(OpenView):
    @extend_schema(operation_id="auth_password_reset", request=PasswordResetBody, responses={202: None})
    def post(self, request: Request) -> Response:
        """Send a link for a new password. The answer is the same whether or not a user has the address."""
        email = self.checked(PasswordResetBody)["email"]
        limited(password_mails.count, email, origin_of(request._request))
        with transaction.atomic():
            password_mails.ask(email)
        return Response(status=202)


class PasswordLinkView(OpenView):
    @extend_schema(operation_id="auth_password_by_link", request=PasswordLinkBody, responses={204: None})
    def post(self, request: Request) -> Response:
        """Set a password with the token of an e-mailed link. It works once, and all sessions end."""
        body = self.checked(PasswordLinkBody)
        try:
            with audit_context(None, source="api", request_id=request_id_of(request)):
                password_mails.set_password(body["token"], body["new_password"], check_new_password)
        except LinkRefusedError as error:
            count_refused(request)
            raise InvalidError.of("token", error.message, error.code) from error
        return Response(status=204)


class SecondFactorView(AuthView):
    """The second factor of one's own account."""

    @extend_schema(operation_id="auth_second_factor", responses=SecondFactorAnswer)
    def get(self, request: Request) -> Response:
        """Whether your second factor is on, and whether your role requires one."""
        return Response(second_factor.state(self.user))

    @extend_schema(
        operation_id="auth_second_factor_begin",
        request=ProofOfBothBody,
        responses={201: NewSecondFactorAnswer},
    )
    def post(self, request: Request) -> Response:
        """Create a second factor's secret for an app; it takes effect when a first code is confirmed.

        Takes one's password, and one's passkey or a recovery code where there are passkeys already.
        """
        prove_password(self, self.checked(ProofOfBothBody)["current_password"])
        if second_factor.has_passkey(self.user) and not second_factor.has_app(self.user):
            prove_factor(self, self.checked(ProofOfBothBody))
        secret = second_factor.begin(self.user, self.session)
        return Response({"secret": secret, "address": second_factor.address(self.user, secret)}, 201)


class SecondFactorConfirmView(AuthView):
    @extend_schema(
        operation_id="auth_second_factor_confirm",
        request=SecondFactorCodeBody,
        responses=RecoveryCodesAnswer,
    )
    def post(self, request: Request) -> Response:
        """Switch the second factor on with a first code. Ends all other sessions; only this answer shows the
        recovery codes."""
        with counted_code(self) as proof:
            given = self.checked(SecondFactorCodeBody)["code"]
            codes = second_factor.confirm(self.user, given, self.session)
            proof.succeeded()
        sessions.end_others(self.user, self.session)
        return Response({"recovery_codes": codes})


class SecondFactorRenewView(AuthView):
    @extend_schema(
        operation_id="auth_second_factor_recovery_codes",
        request=ProofOfBothBody,
        responses=RecoveryCodesAnswer,
    )
    def post(self, request: Request) -> Response:
        """Replace the recovery codes with new ones."""
        prove_both(self, ProofOfBothBody)
        return Response({"recovery_codes": second_factor.new_recovery_codes(self.user)})


class SecondFactorEndView(AuthView):
    @extend_schema(
        operation_id="auth_second_factor_end", request=SecondFactorProofBody, responses={204: None}
    )
    def post(self, request: Request) -> Response:
        """Switch the app off, unless your role requires a second factor and you have no passkey."""
        second_factor.keep_one(self.user, app=False)
        prove_both(self, SecondFactorProofBody)
        second_factor.switch_off(self.user)
        return Response(status=204)


class SessionViewSet(AuthView, mixins.ListModelMixin, GenericViewSet):
    """One's own sessions."""

    queryset = Session.objects.all()
    serializer_class = SessionSerializer
    pagination_class = PageNumberPagination
    filter_backends = ()
    allowed_query_params = {"list": PAGES}

    def get_queryset(self) -> SessionQuerySet:
        return Session.objects.filter(user=self.user)

    def filter_queryset(self, queryset: Any) -> Any:
        return queryset.live()

    def list(self, request: Request) -> Response:
        """List your active sessions."""
        return super().list(request)

    @extend_schema(responses=EndedAnswer)
    def end_others(self, request: Request) -> Response:
        """End all your other sessions."""
        others = self.get_queryset()
        if self.session is not None:
            others = others.exclude(pk=self.session.pk)
        return Response({"ended": others.end(Session.Ending.ENDED)})

    def destroy(self, request: Request, pk: str) -> Response:
        """End one of your sessions."""
        if not self.get_queryset().filter(pk=record_id(pk)).end(Session.Ending.ENDED):
            raise NotVisibleError(_("Not found."))
        return Response(status=204)


class ApiKeyViewSet(AuthView, mixins.ListModelMixin, GenericViewSet):
    """One's own API keys."""

    queryset = ApiKey.objects.all()
    serializer_class = ApiKeySerializer
    pagination_class = PageNumberPagination
    filter_backends = ()
    allowed_query_params = {"list": PAGES}

    def get_queryset(self) -> QuerySet[ApiKey]:
        return self.user.api_keys.all()

    def list(self, request: Request) -> Response:
        """List your API keys, including revoked ones."""
        return super().list(request)

    @extend_schema(responses={201: NewApiKeyAnswer})
    def create(self, request: Request) -> Response:
        """Create an API key; only this answer shows it."""
        body = self.checked(ApiKeySerializer)
        key, text = keys.make(self.user, **body)
        return Response(ApiKeySerializer(key).data | {"key": text}, 201)

    def destroy(self, request: Request, pk: str) -> Response:
        """Revoke an API key."""
        key = self.get_queryset().filter(pk=record_id(pk)).first()
        if key is None:
            raise NotVisibleError(_("Not found."))
        keys.revoke(key)
        return Response(status=204)


def admitted(attempt: Attempt) -> Attempt:
    """The attempt, counted. Raises Throttled."""
    limited(attempt.admit)
    return attempt


def limited(count: Callable[..., None], *arguments: Any) -> None:
    """Count something. Raises Throttled where that was too often."""
    try:
        count(*arguments)
    except TooManyAttemptsError as error:
        raise Throttled(wait=error.wait_s, detail=error.message) from error


def check_new_password(password: str, user: User) -> None:
    """Raises ValidationError under the name of the field."""
    try:
        check_password(password, user)
    except ValidationError as error:
        raise ValidationError({"new_password": error.detail}) from error


def prove_password(view: AuthView, password: str) -> None:
    """Raises ValidationError for a password that is not one's own; counted like a sign-in."""
    user = view.user
    attempt = admitted(Attempt(user.username, origin_of(view.request._request)))
    if not sessions.is_password(user, password):
        raise ValidationError({"current_password": [_("This is not your password.")]}, "incorrect")
    attempt.succeeded()


@contextmanager
def counted_code(view: AuthView) -> Iterator[Attempt]:
    """A wrong code counts like a wrong password, and is an error of its field."""
    attempt = admitted(Attempt(view.user.username, origin_of(view.request._request)))
    try:
        yield attempt
    except CodeRefusedError as error:
        raise InvalidError.of("code", error.message, error.code) from error


def prove_both(view: AuthView, body_class: type[PasswordProofBody]) -> None:
    """Password and second factor of who changes theirs. Raises ValidationError, InvalidError."""
    body = view.checked(body_class)
    prove_password(view, body["current_password"])
    prove_factor(view, body)


def prove_factor(view: AuthView, body: dict[str, Any]) -> None:
    """Raises Throttled, InvalidError."""
    origin = origin_of(view.request._request)
    limited(passkeys.prove_factor, view.user, given_proof(body), view.session, origin)


def given_proof(body: dict[str, Any]) -> GivenProof:
    return GivenProof(body.get("current_password", ""), body.get("code", ""), body.get("passkey"))


def proven(view: AuthView, name: str, password: str) -> User:
    """Raises AuthenticationFailed."""
    user = sessions.proven(view.request._request, name, password)
    if user is None:
        raise AuthenticationFailed(_(REFUSED), "no_such_sign_in")
    return user


def by_password(view: AuthView, name: str, password: str) -> User:
    """The user of a name and a password; a wrong one counts. Raises Throttled, AuthenticationFailed."""
    attempt = admitted(Attempt.by(name, origin_of(view.request._request)))
    user = proven(view, name, password)
    attempt.succeeded()
    return user


def second_proof(user: User, code: str, passkey: dict[str, Any] | None, attempt: Attempt) -> bool:
    """Whether a second factor was proven, where the user has one. A missing one is no failure, for the
    password was right; a wrong one is. Raises AuthenticationFailed."""
    if not second_factor.is_on(user):
        return False
    if not code and not passkey:
        attempt.succeeded()
        raise AuthenticationFailed(
            _("Send the code of your second factor, or your passkey, as well."), "second_factor_needed"
        )
    try:
        with transaction.atomic():
            if passkey:
                passkeys.prove(passkey, passkeys.SECOND_FACTOR, user)
            else:
                second_factor.prove(user, code)
    except (CodeRefusedError, PasskeyRefusedError) as error:
        raise AuthenticationFailed(error.message, error.code) from error
    return True


def signed_in(user: User, origin: Origin, *, second_factor: bool) -> Response:
    """The tokens of a new session."""
    issued = sessions.begin(user, origin, second_factor=second_factor)
    return Response(tokens(issued) | {"user": MeSerializer(user).data})


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
