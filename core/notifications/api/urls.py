"""Addresses of notifications that belong to no viewset, below /api/v1/."""

from django.urls import URLPattern, re_path

from core.notifications.api.unsubscribe import unsubscribe

urlpatterns: list[URLPattern] = [
    re_path(r"^notifications/unsubscribe/?$", unsubscribe, name="unsubscribe"),
]
