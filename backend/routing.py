"""HTTP to Django, WebSockets to the live channel, on one port."""

import django
from channels.routing import ProtocolTypeRouter

from backend.handler import ThreadedHandler


def make_application() -> ProtocolTypeRouter:
    """The whole application for ASGI servers."""
    django.setup(set_prefix=False)
    from django.conf import settings

    from core.notifications.api.live import websocket  # its models can be imported once Django is set up

    return ProtocolTypeRouter({"http": ThreadedHandler(settings.WEB_THREADS), "websocket": websocket})
