"""HTTP to Django, WebSockets to the live channel, on one port."""

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application


def make_application() -> ProtocolTypeRouter:
    """The whole application for ASGI servers."""
    http = get_asgi_application()
    from core.api.live import websocket  # its models can be imported once Django is set up

    return ProtocolTypeRouter({"http": http, "websocket": websocket})
