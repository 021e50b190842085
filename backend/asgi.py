"""The web application for ASGI servers: `uvicorn backend.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

from backend.checks import refuse_unsafe_start
from backend.launch import WEB_POOL_SIZE, ensure_services

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
os.environ.setdefault("DATABASE_POOL_SIZE", WEB_POOL_SIZE)
ensure_services()
application = get_asgi_application()
refuse_unsafe_start()
