"""Addresses of imports and exports, below /api/v1/."""

from django.urls import re_path

from core.transfer.api.exports import ExportViewSet
from core.transfer.api.imports import ImportViewSet

RESOURCE = r"(?P<resource_type>[a-z_-]+)"
urlpatterns = [
    re_path(
        rf"^import/{RESOURCE}/?$",
        ImportViewSet.as_view({"get": "template", "post": "create"}),
        name="import",
    ),
    re_path(
        rf"^import/{RESOURCE}/preview/?$", ImportViewSet.as_view({"post": "preview"}), name="import-preview"
    ),
    re_path(
        rf"^import/{RESOURCE}/template/?$", ImportViewSet.as_view({"get": "template"}), name="import-template"
    ),
    re_path(rf"^export/{RESOURCE}/?$", ExportViewSet.as_view({"get": "stream"}), name="export"),
]
