"""The web application for WSGI servers: `gunicorn backend.wsgi`."""

from django.core.wsgi import get_wsgi_application

from backend.chunked_bodies import WSGIApplication, with_length
from backend.launch import start_web
from backend.postgresql import time_limits


def make_application() -> WSGIApplication:
    """The whole application for WSGI servers."""
    application = get_wsgi_application()
    time_limits.for_requests()
    return with_length(application)


application = start_web(make_application)
