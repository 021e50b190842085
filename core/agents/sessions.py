"""Grants of keys, and the sessions of grants."""

from datetime import timedelta
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from core.accounts import second_factor
from core.accounts.models import ApiKey, User
from core.agents.models import AgentGrant, AgentSession
from core.conf import conf

USE_NOTED_EVERY = timedelta(minutes=10)
UNUSED = timedelta(days=1)
# However busy it is, so that what is undone at once is bounded.
LONGEST = timedelta(days=1)


def lets_in(grant: AgentGrant) -> bool:
    """Whether the grant may be used now: it is live, and given by consent its user has proven to be one as
    their role demands. A key is what it is without a second factor, at the API as here."""
    return grant.is_live and (grant.api_key_id is not None or may_consent(grant.user))


def may_consent(user: User) -> bool:
    """Whether what the user consents to counts: they are active, and have the second factor that their role
    needs."""
    return user.is_active and (not second_factor.is_required(user) or second_factor.is_on(user))


def grant_of_key(key: ApiKey) -> AgentGrant:
    """The grant that a key is, made with the first use of it by an AI client."""
    defaults = {"user": key.user, "name": key.name}
    found, _ = AgentGrant.objects.select_related("user", "api_key").get_or_create(
        api_key=key, defaults=defaults
    )
    return found


def begin(grant: AgentGrant) -> AgentSession:
    """A new session; those that were begun and never used are forgotten after a day."""
    grant.sessions.filter(calls=0, started_at__lt=timezone.now() - UNUSED).delete()
    session = AgentSession(grant=grant, started_at=timezone.now())
    session.last_used_at = session.started_at
    session.save(force_insert=True)
    return session


def find(grant: AgentGrant, token: str) -> AgentSession | None:
    """The session of the grant that its client names, while it goes on; None where there is none, or it is
    another's."""
    try:
        named = UUID(hex=token)
    except ValueError:
        return None
    session = _going_on(grant).filter(token=named).first()
    return _used(grant, session) if session else None


def present(grant: AgentGrant) -> AgentSession:
    """The session of a client that names none: its last one, unless that was left alone for some time."""
    session = _going_on(grant).order_by("-last_used_at").first()
    return _used(grant, session or begin(grant))


def _going_on(grant: AgentGrant) -> QuerySet[AgentSession]:
    """Those that have not ended, by themselves or by being left alone."""
    now = timezone.now()
    used_after = now - timedelta(minutes=conf.AGENT_SESSION_MINUTES)
    return grant.sessions.filter(ended_at=None, last_used_at__gt=used_after, started_at__gt=now - LONGEST)


def end(session: AgentSession) -> None:
    AgentSession.objects.filter(pk=session.pk, ended_at=None).update(ended_at=Now())


def revoke(grant: AgentGrant) -> None:
    """The grant is refused from the next call on, and its sessions end."""
    AgentGrant.objects.filter(pk=grant.pk, revoked_at=None).update(revoked_at=Now())
    grant.sessions.filter(ended_at=None).update(ended_at=Now())


def _used(grant: AgentGrant, session: AgentSession) -> AgentSession:
    session.grant = grant
    AgentSession.objects.filter(pk=session.pk).update(calls=F("calls") + 1, last_used_at=Now())
    before = timezone.now() - USE_NOTED_EVERY
    stale = Q(last_used_at=None) | Q(last_used_at__lt=before)
    AgentGrant.objects.filter(stale, pk=grant.pk).update(last_used_at=Now())
    return session
