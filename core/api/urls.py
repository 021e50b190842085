"""Everything below /api/."""

from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from core.api import problems
from core.api.hooks import HookView
from core.api.index import IndexView
from core.api.routes import router
from core.api.transfer.urls import urlpatterns as transfer_urls
from core.api.unsubscribe import unsubscribe

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^v1/?$", IndexView.as_view(), name="index"),
    re_path(r"^v1/notifications/unsubscribe/?$", unsubscribe, name="unsubscribe"),
    path("v1/", include(router.urls)),
    path("v1/", include(transfer_urls)),
    path("auth/", include("core.api.auth_urls")),
    re_path(r"^v1/hooks/(?P<key>[A-Za-z0-9_-]{10,64})/?$", HookView.as_view(), name="hooks"),
    # On a development machine too, where Django would answer with a page of its own.
    re_path("", csrf_exempt(problems.not_found)),
]
