"""Every address of the application."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView

from core.accounts.api import password_page
from core.admin import pages
from core.notifications.api import push_page

SIGN_IN = [
    path("login/", admin.site.login, name="login"),
    path("logout/", admin.site.logout, name="logout"),
]
urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^api/schema/?$", SpectacularAPIView.as_view(), name="schema"),
    re_path(r"^api/docs/?$", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    re_path(r"^api/redoc/?$", SpectacularRedocView.as_view(url_name="schema"), name="redoc"),
    path("api/", include("core.api.urls")),
    path("", include("core.agents.api.urls")),
    path("scim/", include("core.accounts.scim.urls")),
    path("sso/", include("core.accounts.single_sign_on.urls")),
    re_path(r"^password/?$", password_page.page, name="password"),
    re_path(r"^push/?$", push_page.page, name="push"),
    re_path(r"^push/worker\.js$", push_page.worker, name="push-worker"),
    # Where the API's pages send people to sign in and out.
    path("pages/", include((SIGN_IN, "rest_framework"))),
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}crm/icon.svg")),
    path("admin/", include(pages.urls())),
    path("admin/", admin.site.urls),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("", RedirectView.as_view(pattern_name="docs"), name="root"),
    re_path(r"^docs/?$", RedirectView.as_view(pattern_name="docs")),
    re_path(r"^redoc/?$", RedirectView.as_view(pattern_name="redoc")),
]

handler400 = "core.api.problems.bad_request"
handler404 = "core.api.problems.not_found"
handler500 = "core.api.problems.server_error"
