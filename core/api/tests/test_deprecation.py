"""Paths with hyphens answer as ever, and announce when they go and what takes their place."""

import pytest
from django.urls import resolve, reverse

from core.accounts.api import auth_urls
from core.api import routes
from core.api.deprecation import HYPHENATED_PATHS

pytestmark = pytest.mark.django_db
NAMES = ("Deprecation", "Sunset", "Link")
SINCE, SUNSET = "@1795824000", "Tue, 30 Nov 2027 00:00:00 GMT"


def announced(response):
    return [response.headers.get(name) for name in NAMES]


@pytest.mark.parametrize(
    ("method", "path", "status", "successor"),
    [
        ("get", "/api/v1/saved-views/", 200, "/api/v1/saved_views/"),
        ("get", "/api/v1/saved-views", 200, "/api/v1/saved_views/"),
        ("get", "/api/v1/saved-views/?page_size=1", 200, "/api/v1/saved_views/"),
        ("get", "/api/v1/custom-fields/9/", 404, "/api/v1/custom_fields/9/"),
        ("post", "/api/v1/webhook-deliveries/9/redeliver/", 404, "/api/v1/webhook_deliveries/9/redeliver/"),
        ("post", "/api/v1/leads/bulk-update/", 400, "/api/v1/leads/bulk_update/"),
        ("get", "/api/v1/leads/by-external-id/A-1_2/", 404, "/api/v1/leads/by_external_id/A-1_2/"),
        ("get", "/api/auth/api-keys/", 200, "/api/auth/api_keys/"),
    ],
)
def test_a_path_with_hyphens_names_its_end_and_its_successor(admin, method, path, status, successor):
    answer = getattr(admin, method)(path)
    assert answer.status_code == status
    assert announced(answer) == [SINCE, SUNSET, f'<{successor}>; rel="successor-version"']
    assert announced(getattr(admin, method)(successor)) == [None, None, None]


def test_who_is_not_signed_in_reads_it_too(api):
    answer = api().get("/api/v1/saved-views/")
    assert (answer.status_code, answer.headers["Sunset"]) == (401, SUNSET)


def actions_of(view):
    """What its methods do; the first request adds "head"."""
    return {method: action for method, action in view.actions.items() if method != "head"}


def test_every_path_with_hyphens_has_a_successor_that_does_the_same():
    urls = [*routes.router.urls, *auth_urls.router.urls]
    old = [url for url in urls if routes.HYPHENATED in url.name]
    assert len(old) > 50
    for url in old:
        kwargs = dict.fromkeys(url.pattern.regex.groupindex, "7")
        view = resolve(reverse(url.name.replace(routes.HYPHENATED, ""), kwargs=kwargs)).func
        assert (view.cls, actions_of(view)) == (url.callback.cls, actions_of(url.callback)), url.name


def test_what_is_deprecated_stays_for_a_year():
    assert (HYPHENATED_PATHS.sunset - HYPHENATED_PATHS.since).days >= 365
