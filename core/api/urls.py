"""Everything below /api/."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

from core.api.routes import router

urlpatterns: list[URLPattern | URLResolver] = [path("v1/", include(router.urls))]
if find_spec("core.api.auth_urls"):
    urlpatterns.append(path("auth/", include("core.api.auth_urls")))
