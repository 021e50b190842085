"""The web application for ASGI servers: `uvicorn backend.asgi:application`."""

from django.core.asgi import get_asgi_application

from backend.launch import start_web

application = start_web(get_asgi_application)
