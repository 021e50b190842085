"""Whose sign-in it is: the user known by the identity, else the one with its address, else a new one."""

import logging
from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, Value
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext as _

from core.accounts import groups
from core.accounts.models import ExternalIdentity, Team, User
from core.changes import audit_context
from core.errors import DomainError

log = logging.getLogger(__name__)
# The claims of OpenID Connect Core 5.1 that a user is made of.
NAMES = {"given_name": "first_name", "family_name": "last_name"}
# Reference of authentication methods (RFC 8176): more than one proof was asked for.
SEVERAL_PROOFS = "mfa"


class NotAdmittedError(DomainError):
    """The provider knows them, and they may not sign in here."""

    code = "not_admitted"


def proves_second_factor(claims: Mapping[str, Any]) -> bool:
    """Whether the provider asked for a second factor: it says so, or is known to ask everyone."""
    methods = claims.get("amr")
    return settings.OIDC_SECOND_FACTOR or (isinstance(methods, list) and SEVERAL_PROOFS in methods)


def user_of(claims: Mapping[str, Any]) -> User:
    """The active user that these claims are about, with the role and team that the provider's groups give.

    Raises NotAdmittedError. Of two first sign-ins at once the second finds what the first one made.
    """
    with audit_context(None, source="system"):
        try:
            user = _user(claims)
        except IntegrityError:
            user = _user(claims)
    if not user.is_active:
        raise NotAdmittedError(_("This account is deactivated."), code="deactivated")
    return user


def _user(claims: Mapping[str, Any]) -> User:
    with transaction.atomic():
        user = _known(claims) or _by_email(claims)
        mine = _groups(claims, user)
        role = _role(mine)
        user = user or _new(claims, role)
        if user.is_active:
            _follow_groups(user, role, mine)
        return user


def _known(claims: Mapping[str, Any]) -> User | None:
    identities = ExternalIdentity.objects.filter(issuer=settings.OIDC_ISSUER, subject=claims["sub"])
    identity = identities.select_related("user").first()
    if identity is None:
        return None
    identities.update(last_used_at=Now())
    return identity.user


def _by_email(claims: Mapping[str, Any]) -> User | None:
    """Whoever has the address, from now on known by the identity, if the provider vouches for the address.

    Superusers are connected by hand alone; so is whoever has an identity there already, for the address may
    have passed on to somebody else. Raises NotAdmittedError.
    """
    email = _text(claims, "email", 254)
    lowered = User.objects.alias(lowered=Lower("email"))  # what the index is over
    user = lowered.filter(lowered=Lower(Value(email))).first() if email else None
    if user is None:
        return None
    if not _is_vouched_for(claims):
        raise NotAdmittedError(
            _(
                "Someone has this e-mail address here, and the identity provider does not vouch for it."
                " An administrator can connect the two."
            ),
            code="email_not_verified",
        )
    if user.is_superuser or user.external_identities.filter(issuer=settings.OIDC_ISSUER).exists():
        raise NotAdmittedError(
            _(
                "The account with this e-mail address is not connected by the address alone."
                " An administrator can connect the two."
            ),
            code="connected_by_hand",
        )
    _connect(user, claims)
    return user


def _new(claims: Mapping[str, Any], role: str | None) -> User:
    if not settings.OIDC_CREATES_USERS:
        raise NotAdmittedError(
            _("You have no account here. Ask an administrator for one."), code="no_account"
        )
    # An address that nobody vouches for would wait here for its owner, and connect them to a stranger.
    email = _text(claims, "email", 254) if _is_vouched_for(claims) else ""
    user = User(username=_free_name(claims), email=email, is_staff=True)
    user.role = role or settings.OIDC_DEFAULT_ROLE
    for claim, field in NAMES.items():
        setattr(user, field, _text(claims, claim, 150))
    user.set_unusable_password()
    try:
        user.full_clean()
    except ValidationError as error:
        reasons = " ".join(f"{name}: {' '.join(said)}" for name, said in sorted(error.message_dict.items()))
        raise NotAdmittedError(
            _(
                "No account can be made of what the identity provider says (%(reasons)s). Ask an "
                "administrator for one."
            )
            % {"reasons": reasons},
            code="claims_unusable",
        ) from error
    user.save()
    _connect(user, claims)
    return user


def _is_vouched_for(claims: Mapping[str, Any]) -> bool:
    return settings.OIDC_TRUSTS_EMAIL or claims.get("email_verified") is True


def _free_name(claims: Mapping[str, Any]) -> str:
    """The name that they have at the provider, or the address where somebody else signs in by that name here,
    as a user name or an e-mail address."""
    names = [_text(claims, "preferred_username", 150), _text(claims, "email", 150)]
    taken = User.objects.alias(name=Lower("username"), address=Lower("email"))
    return next((name for name in names if name and not taken.filter(_is_called(name)).exists()), "")


def _is_called(name: str) -> Q:
    lowered = Lower(Value(name))
    return Q(name=lowered) | Q(address=lowered)


def _connect(user: User, claims: Mapping[str, Any]) -> None:
    identity = ExternalIdentity(user=user, issuer=settings.OIDC_ISSUER, subject=claims["sub"])
    identity.save(force_insert=True)


def _groups(claims: Mapping[str, Any], user: User | None) -> Collection[Any]:
    """The groups that the provider says the user is in: with the sign-in or, where it says nothing then, over
    SCIM."""
    said = claims.get(settings.OIDC_GROUPS_CLAIM)
    if said is None and user is not None:
        return groups.names_of([user.pk])[user.pk]
    return said if isinstance(said, list) else [said]


def _role(mine: Collection[Any]) -> str | None:
    """The role by the first group of `OIDC_ROLES` that they are in; None where groups decide no roles.

    Raises NotAdmittedError for whoever is in none of them.
    """
    if not settings.OIDC_ROLES:
        return None
    found = groups.first_of(settings.OIDC_ROLES, mine)
    if found is None:
        raise NotAdmittedError(_("None of your groups gives you a role here."), code="no_role")
    return found


def _follow_groups(user: User, role: str | None, mine: Collection[Any]) -> None:
    """A superuser's role is their own, and somebody always is an administrator."""
    wanted: dict[str, Any] = {}
    if role and not user.is_superuser:
        wanted["role"] = role
    team_name = groups.first_of(settings.OIDC_TEAMS, mine)
    if team_name is not None:
        wanted["team"] = Team.objects.filter(name__iexact=team_name).first() or user.team
    changed = [name for name, value in wanted.items() if getattr(user, name) != value]
    if not changed:
        return
    before = user.role
    for name in changed:
        setattr(user, name, wanted[name])
    try:
        user.clean()
    except ValidationError:
        log.warning("user %s stays %s: the last administrator", user.pk, before)
        user.role = before
    user.save(update_fields=changed)


def _text(claims: Mapping[str, Any], name: str, length: int) -> str:
    value = claims.get(name)
    return value.strip() if isinstance(value, str) and len(value) <= length and "\x00" not in value else ""
