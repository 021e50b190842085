"""Everything below /api/."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

from core.api.routes import router
from core.api.transfer.urls import urlpatterns as transfer_urls

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/", include(router.urls)),
    path("v1/", include(transfer_urls)),
]
if find_spec("core.api.auth_urls"):
    urlpatterns.append(path("auth/", include("core.api.auth_urls")))
