"""Whether the role, or the API key, may do this kind of thing at all; which rows is the policy's part."""

import re
from typing import Any

from django.utils.translation import gettext_lazy
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from core.access import Permission, scopes

METHOD_PERMISSIONS = {
    "POST": Permission.ADD,
    "PUT": Permission.CHANGE,
    "PATCH": Permission.CHANGE,
    "DELETE": Permission.DELETE,
}
# Importing leads is writing leads, exporting them is reading them.
_RESOURCE = re.compile(r"/api/v\d+/(?:(?:import|export)/)?([^/]+)")


class SignedIn(BasePermission):
    """Someone is signed in and, where an API key speaks for them, its scopes cover the request.

    The base of all permissions but AllowAny, so that no view forgets the scopes.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user and request.user.is_authenticated) and self._covers(request)

    def _covers(self, request: Request) -> bool:
        writing = request.method not in SAFE_METHODS
        if scopes.covers(request.user, resource_of(request), writing=writing):
            return True
        self.message = scopes.MESSAGE
        self.code = "scope_missing"
        return False


class PolicyPermission(SignedIn):
    """Asks the view's policy whether the user's role has the action (403 otherwise)."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return super().has_permission(request, view) and view.policy.allows(
            request.user, action_of(request, view)
        )


class SignedInByPassword(SignedIn):
    """Not for API keys: what manages passwords, sessions and keys."""

    message = gettext_lazy("An API key cannot be used for this: sign in.")

    def _covers(self, request: Request) -> bool:
        return not scopes.is_limited(request.user)


class OwnAccount(SignedInByPassword):
    """Any API key may ask whose it is."""

    def _covers(self, request: Request) -> bool:
        return request.method in SAFE_METHODS or super()._covers(request)


def resource_of(request: Request) -> str:
    """What the request is about as scopes name it: `leads` of /api/v1/leads/7/, in snake_case."""
    found = _RESOURCE.match(request.path)
    return found[1].replace("-", "_") if found else ""


def action_of(request: Request, view: Any) -> str:
    """What a request wants to do: said by the view for its own routes, else by the method."""
    named = getattr(view, "action_permissions", {}).get(getattr(view, "action", None))
    if named:
        return named
    if request.method in SAFE_METHODS:
        return Permission.VIEW
    if request.method not in METHOD_PERMISSIONS:
        raise MethodNotAllowed(str(request.method))
    return METHOD_PERMISSIONS[request.method]
