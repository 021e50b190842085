"""The composition root: settings, addresses, processes. It alone knows every application."""

from backend.celery import app as celery_app

__all__ = ["celery_app"]
