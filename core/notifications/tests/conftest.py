"""Records and people of these tests. Models can be imported once Django is set up, so inside fixtures."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def new_lead(db: None) -> Callable[..., Any]:
    """new_lead(actor, **fields) → a stored lead, its changes not dispatched yet."""
    from core.changes import audit_context
    from lead_management.tests.factories import LeadFactory

    def make(actor: Any = None, **fields: Any) -> Any:
        with audit_context(actor):
            return LeadFactory(**{"first_name": "Ada", "last_name": "Byron"} | fields)

    return make


@pytest.fixture
def inbox(db: None) -> Callable[..., list[Any]]:
    """inbox(user, type=…) → their notifications, newest first, once all changes are dispatched."""

    from core.changes.dispatch import dispatch
    from core.notifications.models import Notification

    def read(user: Any, **filters: Any) -> list[Any]:
        dispatch()
        return list(Notification.objects.filter(recipient=user, **filters).order_by("-id"))

    return read


@pytest.fixture
def team(db: None) -> Any:
    from core.accounts.tests.factories import TeamFactory

    return TeamFactory(name="West")


@pytest.fixture
def server(settings: Any, transactional_db: None) -> Any:
    """The ASGI application under uvicorn, in a thread; its address as host:port."""
    from backend.routing import make_application
    from backend.testing.web import serving

    settings.CRM = {"LIVE_CHECK_S": 0.2}
    with serving(make_application()) as address:
        yield address
