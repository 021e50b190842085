"""Everything below /api/: what apps and features registered (core.api.routes)."""

from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from core.api import problems, routes
from core.api.index import IndexView

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^v1/?$", IndexView.as_view(), name="index"),
    routes.FirstWordResolver("v1/", [*routes.included["v1/"], *routes.router.urls]),
    *(path(prefix, include(own)) for prefix, own in routes.included.items() if prefix != "v1/"),
    # On a development machine too, where Django would answer with a page of its own.
    re_path("", csrf_exempt(problems.not_found)),
]
