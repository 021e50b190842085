"""Pages of the admin site that belong to no model; rooms register them by the last part of their address."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from core.registry import Registry

pages: Registry[Callable[[HttpRequest], HttpResponse]] = Registry("page of the admin site")


def urls() -> list[Any]:
    """Their addresses, `/admin/<name>/`, for who is signed in to the site; the routes are `admin-<name>`."""
    return [_url(name) for name in pages.keys()]  # noqa: SIM118 - a Registry is no mapping


def _url(name: str) -> URLPattern:
    return path(f"{name}/", admin.site.admin_view(pages[name]), name=f"admin-{name}")
