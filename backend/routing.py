"""HTTP to Django, WebSockets to the live channel, on one port."""

import django
from channels.routing import ProtocolTypeRouter


def make_application() -> ProtocolTypeRouter:
    """The whole application for ASGI servers."""
    django.setup(set_prefix=False)
    # Their models can be imported once Django is set up.
    from django.conf import settings

    from backend.handler import ThreadedHandler
    from backend.postgresql import time_limits
    from core.notifications.api.live import websocket

    time_limits.for_requests()
    return ProtocolTypeRouter({"http": ThreadedHandler(settings.WEB_THREADS), "websocket": websocket})
