"""API keys: `crm_<prefix>_<secret>`. The prefix finds the row, the digest proves the key.

A secret of 256 random bits needs no slow hash: SHA-256 cannot be turned back by guessing.
"""

import hashlib
import re
import secrets
from datetime import datetime, timedelta

from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from core.access.shares import MAY_HAVE_SHARES
from core.accounts.models import ApiKey, User
from core.entities import field_rights
from core.errors import ConflictError

MARK = "crm_"
FORM = re.compile(r"crm_([0-9a-f]{12})_([A-Za-z0-9_\-]{43})\Z", re.ASCII)
# How exactly last_used_at is kept: a write at each use would cost more than the use.
USE_NOTED_EVERY = timedelta(minutes=10)
MAX_PER_USER = 100


def make(user: User, name: str, scopes: list[str], expires_at: datetime | None = None) -> tuple[ApiKey, str]:
    """A new key and its text, which cannot be had again. Raises ConflictError for a user with too many."""
    if user.api_keys.filter(revoked_at=None).count() >= MAX_PER_USER:
        raise ConflictError(
            _("At most %(max_per_user)s keys; revoke those no longer used.") % {"max_per_user": MAX_PER_USER},
            code="too_many",
        )
    prefix = secrets.token_hex(6)
    text = f"{MARK}{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey(user=user, name=name, prefix=prefix, scopes=scopes, expires_at=expires_at)
    key.digest = _digest(text)
    key.created_at = timezone.now()
    key.save(force_insert=True)
    return key, text


def find(text: str) -> ApiKey | None:
    """The live key with its user, and the user with the rights of their role; one query."""
    form = FORM.match(text)
    keys = ApiKey.objects.select_related("user").annotate(
        shares=RawSQL(MAY_HAVE_SHARES, []),  # noqa: S611
        rights=field_rights.words_of("user__role"),
    )
    key = keys.filter(prefix=form[1]).first() if form else None
    # Compared in any case: whether a prefix exists takes no longer to learn.
    same = constant_time_compare(key.digest if key else "", _digest(text))
    if not (key and same and key.is_live):
        return None
    key.user.may_have_shares = key.shares
    setattr(key.user, field_rights.WORDS, key.rights)
    return key


def note_use(key: ApiKey) -> None:
    """Keep when the key was last used, to within USE_NOTED_EVERY."""
    before = timezone.now() - USE_NOTED_EVERY
    if key.last_used_at is None or key.last_used_at < before:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=before)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=Now())


def revoke(key: ApiKey) -> None:
    """The key is refused from the next request on."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=Now())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
