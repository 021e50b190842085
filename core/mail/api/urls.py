"""Addresses of mail that belong to no viewset, below /api/v1/."""

from django.urls import URLPattern, re_path

from core.mail.api.opt_out import opt_out

urlpatterns: list[URLPattern] = [
    re_path(r"^unsubscribe/?$", opt_out, name="opt_out"),
]
