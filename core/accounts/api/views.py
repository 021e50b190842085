"""/api/v1/users/ and /api/v1/teams/: everyone reads, administrators write."""

from typing import Any

from django.core.exceptions import ValidationError as ModelError
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.access import Permission, Role, can_change_records, role_of, scopes
from core.accounts import passkeys, password_mails, second_factor
from core.accounts.api.auth_serializers import EndedAnswer, PasskeySerializer, RemovePasskeyBody
from core.accounts.api.serializers import (
    HandedOverSerializer,
    HandOverSerializer,
    TeamSerializer,
    UserSerializer,
)
from core.accounts.hand_over import hand_over, release_user
from core.accounts.models import PasswordMail, Session, Team, User
from core.api.bodies import takes_no_body, validated_body
from core.api.parameters import flag
from core.api.resources import FORCE, ResourceViewSet
from core.entities import entities
from core.entities.field_types import Boolean
from core.entities.locks import TEAM_TREE, lock
from core.errors import ConflictError, ForbiddenError, InvalidError, ValueRefusedError

# A filter by what one may not see would give it away.
SECRET_FILTERS = {"role", "email"}
SEARCH_LENGTH = 200


class UserViewSet(ResourceViewSet):
    """Users. A list shows active ones; `is_active=false` the others, `is_active=any` all."""

    model = User
    queryset = User.objects.all()
    serializer_class = UserSerializer
    filterset_fields = ("team", "role", "email", "username")
    parameters = ("is_active", "search")
    ordering_fields = ("username", "last_name", "first_name", "id")
    allowed_query_params = FORCE | dict.fromkeys(("update", "partial_update"), frozenset(("force",)))
    action_permissions = dict.fromkeys(
        ("end_sessions", "hand_over", "invite", "passkeys", "remove_passkey", "reset_second_factor"),
        Permission.CONFIGURE,
    )

    def filter_queryset(self, rows: QuerySet) -> QuerySet:
        params = self.request.query_params
        if role_of(self.request.user) != Role.ADMIN and SECRET_FILTERS & set(params):
            raise ForbiddenError(_("Only administrators find users by role or e-mail."))
        rows = _active(super().filter_queryset(rows), params.get("is_active", "true"))
        return _searched(rows, params.get("search", ""))

    def perform_destroy(self, instance: User) -> None:
        """Deactivate, once they have handed over what they have; `force=true` leaves it with them."""
        if instance.is_active:
            release_user(instance, force=flag(self.request, "force"))
        instance.is_active = False
        try:
            instance.clean()
        except ModelError as error:
            raise ConflictError(error.messages[0], code="last_administrator") from error
        instance.save(update_fields=["is_active"])

    def perform_update(self, serializer: Any) -> None:
        user = serializer.instance
        if user.is_active and serializer.validated_data.get("is_active") is False:
            release_user(user, force=flag(self.request, "force"))
        super().perform_update(serializer)

    @extend_schema(request=HandOverSerializer, responses=HandedOverSerializer)
    @action(methods=["post"], detail=True)
    def hand_over(self, request: Request, pk: str) -> Response:
        """Hand over all that a user has to another user (`to`), or to the active members of a `team` in
        turn.

        This covers records by owner and assignee (tasks, leads and deals while they are open), custom fields
        that name the user on such records (`fields`), workflows and webhooks that act in their name or name
        them, and shared views. `kept` counts the closed records, `left` names what could not be handed over.
        """
        written = [*(entity.plural for entity in entities), "workflows", "webhooks", "saved_views"]
        scopes.require(request.user, *written, writing=True)
        user = self.get_object()
        done = hand_over(user, _receivers(validated_body(request, HandOverSerializer), user))
        return Response({**vars(done), "left": [vars(issue) for issue in done.left]})

    @extend_schema(request=None, responses=EndedAnswer)
    @action(methods=["post"], detail=True)
    @takes_no_body
    def end_sessions(self, request: Request, pk: str) -> Response:
        """Sign the user out everywhere."""
        return Response({"ended": self.get_object().sessions.end(Session.Ending.BY_ADMINISTRATOR)})

    @extend_schema(request=None, responses={202: None})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def invite(self, request: Request, pk: str) -> Response:
        """Send the user a link by which they choose a password; it works once, within seven days."""
        user = self.get_object()
        self.refuse_if(not user.is_active or not user.email, _("Only an active user with an e-mail address."))
        password_mails.ask(user.email, PasswordMail.Kind.INVITATION)
        return Response(status=202)

    @extend_schema(request=None, responses={204: None})
    @action(methods=["post"], detail=True)
    @takes_no_body
    def reset_second_factor(self, request: Request, pk: str) -> Response:
        """Take away the second factor of a user who lost it; ends their sessions.

        Passkeys and recovery codes go with it.
        """
        user = self.get_object()
        second_factor.reset(user)
        user.sessions.end(Session.Ending.SECOND_FACTOR)
        return Response(status=204)

    @extend_schema(responses=PasskeySerializer(many=True), filters=False)
    @action(methods=["get"], detail=True, pagination_class=None)
    def passkeys(self, request: Request, pk: str) -> Response:
        """The passkeys of a user."""
        return Response(PasskeySerializer(self.get_object().passkeys.all(), many=True).data)

    @extend_schema(request=RemovePasskeyBody, responses={204: None})
    @action(methods=["post"], detail=True)
    def remove_passkey(self, request: Request, pk: str) -> Response:
        """Take away one passkey of a user who lost it; ends their sessions."""
        user = self.get_object()
        passkeys.remove_lost(user, validated_body(request, RemovePasskeyBody)["passkey"])
        return Response(status=204)


# Counted in a subquery, beside which a row can still be locked.
_MEMBERS = (
    User.objects.filter(team=OuterRef("pk"), is_active=True).order_by().values("team").values(n=Count("pk"))
)


class TeamViewSet(ResourceViewSet):
    """Teams, a tree by `parent`: a manager reaches what belongs to their team and those below it."""

    model = Team
    queryset = Team.objects.annotate(active_members=Coalesce(Subquery(_MEMBERS), 0))
    serializer_class = TeamSerializer
    allowed_query_params = FORCE
    filterset_fields = ("parent", "name")
    ordering_fields = ("name", "created_at", "id")

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        # Two teams put below each other at once would pass the check of a cycle one by one.
        lock(TEAM_TREE, "teams")
        return super().update(request, *args, **kwargs)

    def perform_destroy(self, instance: Team) -> None:
        members = instance.members.filter(is_active=True)
        self.refuse_if(members.exists(), _("Move the members of the team first."))
        super().perform_destroy(instance)


def _receivers(body: dict[str, Any], user: User) -> list[User]:
    """The active users that a hand-over names. Raises InvalidError."""
    if ("to" in body) == ("team" in body):
        raise InvalidError.of("to", _("Give one of to and team."), "required")
    rows = User.objects.filter(is_active=True).exclude(pk=user.pk).order_by("pk")
    members = rows.filter(can_change_records(), team=body.get("team"))
    found = list(rows.filter(pk=body["to"]) if "to" in body else members)
    if not found:
        name = "to" if "to" in body else "team"
        raise InvalidError.of(name, _("There is no other active user there."), "does_not_exist")
    return found


def _active(rows: QuerySet, text: str) -> QuerySet:
    if text == "any":
        return rows
    try:
        return rows.filter(is_active=Boolean().to_internal_value(text))
    except ValueRefusedError as error:
        raise InvalidError.of("is_active", _("Expected true, false or any.")) from error


def _searched(rows: QuerySet, text: str) -> QuerySet:
    """Users of whom each word of `text` is in a name."""
    if len(text) > SEARCH_LENGTH or "\x00" in text:
        raise InvalidError.of(
            "search",
            _("Expected at most %(search_length)s characters, none of them null.")
            % {"search_length": SEARCH_LENGTH},
        )
    for word in text.split():
        rows = rows.filter(
            Q(username__folded__contains=word)
            | Q(first_name__folded__contains=word)
            | Q(last_name__folded__contains=word)
        )
    return rows
