"""Addresses of automation that belong to no viewset, below /api/v1/."""

from django.urls import URLPattern, re_path

from core.workflows.api.hooks import HookView

urlpatterns: list[URLPattern] = [
    re_path(r"^hooks/(?P<key>[A-Za-z0-9_-]{10,64})/?$", HookView.as_view(), name="hooks"),
]
