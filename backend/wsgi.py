"""The web application for WSGI servers: `gunicorn backend.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

from backend.checks import refuse_unsafe_start
from backend.launch import WEB_POOL_SIZE, ensure_services

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
os.environ.setdefault("DATABASE_POOL_SIZE", WEB_POOL_SIZE)
ensure_services()
application = get_wsgi_application()
refuse_unsafe_start()
