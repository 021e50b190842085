"""Whether the role, or the API key, may do this kind of thing at all; which rows is the policy's part."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from core.access import Action

METHOD_ACTIONS = {"POST": Action.ADD, "PUT": Action.CHANGE, "PATCH": Action.CHANGE, "DELETE": Action.DELETE}


class PolicyPermission(BasePermission):
    """Asks the view's policy whether the user's role has the action (403 otherwise)."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user and request.user.is_authenticated) and view.policy.allows(
            request.user, action_of(request, view)
        )


def action_of(request: Request, view: Any) -> str:
    """What a request wants to do: said by the view for its own routes, else by the method."""
    named = getattr(view, "access", {}).get(getattr(view, "action", None))
    if named:
        return named
    return Action.VIEW if request.method in SAFE_METHODS else METHOD_ACTIONS[request.method or ""]
