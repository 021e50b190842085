"""/api/auth/passkeys/: one's own passkeys, and signing in by one."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from core.accounts import passkeys
from core.accounts.api.auth_serializers import (
    LoginAnswer,
    NewPasskeyAnswer,
    NewPasskeyBody,
    PasskeyBody,
    PasskeyNameBody,
    PasskeyOptionsAnswer,
    PasskeyOptionsBody,
    PasskeySerializer,
    PasswordlessProofBody,
)
from core.accounts.api.auth_views import AuthView, OpenView, by_password, given_proof, limited, signed_in
from core.accounts.attempts import TooManyAttemptsError
from core.accounts.models import Passkey
from core.accounts.origin import origin_of
from core.accounts.passkeys import PasskeyRefusedError
from core.api.pagination import PageNumberPagination
from core.api.parameters import PAGES, record_id
from core.errors import InvalidError


class PasskeyOptionsView(OpenView):
    @extend_schema(
        operation_id="auth_passkey_options", request=PasskeyOptionsBody, responses=PasskeyOptionsAnswer
    )
    def post(self, request: Request) -> Response:
        """What a browser asks a passkey for, within five minutes and once.

        To sign in by a passkey alone it names nobody's: the browser asks which one. Beside a password it
        names those of the user whose name and password are given, which some security keys need.
        """
        body, user = self.checked(PasskeyOptionsBody), None
        if body["purpose"] == passkeys.SECOND_FACTOR and body.get("username"):
            user = by_password(self, body["username"], body.get("password", ""))
        return Response({"publicKey": passkeys.sign_in_options(body["purpose"], user)})


class PasskeySignInView(OpenView):
    @extend_schema(operation_id="auth_passkey_sign_in", request=PasskeyBody, responses=LoginAnswer)
    def post(self, request: Request) -> Response:
        """Sign in by a passkey alone, which counts as two proofs: it checked a PIN or a finger."""
        body, origin = self.checked(PasskeyBody), origin_of(request._request)
        try:
            user = passkeys.sign_in(body["credential"], origin)
        except TooManyAttemptsError as error:
            raise Throttled(wait=error.wait_s, detail=error.message) from error
        except PasskeyRefusedError as error:
            raise AuthenticationFailed(error.message, error.code) from error
        return signed_in(user, origin, second_factor=True)


class PasskeyViewSet(AuthView, mixins.ListModelMixin, GenericViewSet):
    """One's own passkeys."""

    queryset = Passkey.objects.all()
    serializer_class = PasskeySerializer
    pagination_class = PageNumberPagination
    filter_backends = ()
    allowed_query_params = {"list": PAGES}

    def get_queryset(self) -> QuerySet[Passkey]:
        return Passkey.objects.filter(user=self.user)

    def list(self, request: Request) -> Response:
        """One's own passkeys."""
        return super().list(request)

    @extend_schema(request=PasswordlessProofBody, responses=PasskeyOptionsAnswer)
    @action(methods=["post"], detail=False)
    def registration_options(self, request: Request) -> Response:
        """What a browser makes a new passkey from, within five minutes.

        Takes one's password, or where one has none a session that began lately, and the second factor where
        one is on.
        """
        self._prove()
        return Response({"publicKey": passkeys.registration_options(self.user)})

    @extend_schema(request=NewPasskeyBody, responses={201: NewPasskeyAnswer})
    def create(self, request: Request) -> Response:
        """Keep a passkey that the browser made.

        With one's first second factor the answer has recovery codes, this once, and all other sessions end.
        """
        body = self.checked(NewPasskeyBody)
        try:
            row, codes = passkeys.register(self.user, body["credential"], body["name"], self.session)
        except PasskeyRefusedError as error:
            raise InvalidError.of("credential", error.message, error.code) from error
        return Response({"passkey": PasskeySerializer(row).data, "recovery_codes": codes}, 201)

    @extend_schema(request=PasskeyNameBody, responses=PasskeySerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Give a passkey another name."""
        row = passkeys.rename(self.user, record_id(pk), self.checked(PasskeyNameBody)["name"])
        return Response(PasskeySerializer(row).data)

    @extend_schema(request=PasswordlessProofBody, responses={204: None})
    @action(methods=["post"], detail=True)
    def remove(self, request: Request, pk: str) -> Response:
        """Remove a passkey.

        Takes the same proof as making one. The last second factor of who must have one stays.
        """
        self._prove()
        passkeys.remove(self.user, record_id(pk))
        return Response(status=204)

    def _prove(self) -> None:
        """Raises Throttled, InvalidError, ConflictError."""
        given = given_proof(self.checked(PasswordlessProofBody))
        limited(passkeys.prove_owner, self.user, given, self.session, origin_of(self.request._request))
