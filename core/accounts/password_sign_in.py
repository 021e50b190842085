"""Names and passwords as Django checks them, for those who may sign in by one."""

from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from core.accounts.models import User

SUPERUSERS = "superusers"


class PasswordBackend(ModelBackend):
    """Django's own; `PASSWORD_SIGN_IN` may leave it to superusers. Whoever else is right or wrong gets one
    answer, in one time."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        user = super().authenticate(request, username, password, **kwargs)
        refused = settings.PASSWORD_SIGN_IN == SUPERUSERS and isinstance(user, User) and not user.is_superuser
        return None if refused else user
