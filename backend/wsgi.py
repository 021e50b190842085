"""The web application for WSGI servers: `gunicorn backend.wsgi`."""

from django.core.wsgi import get_wsgi_application

from backend.launch import start_web

application = start_web(get_wsgi_application)
