"""The web application for ASGI servers: `uvicorn backend.asgi:application`."""

from backend.launch import start_web
from backend.routing import make_application

application = start_web(make_application)
