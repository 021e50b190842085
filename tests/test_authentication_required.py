"""Who is asked who they are: every address of the API, whether documented or not, found in the resolver."""

import re

import pytest
from django.db import transaction
from django.urls import URLPattern, get_resolver
from rest_framework.test import APIClient

from core.accounts import keys
from core.accounts.models import ApiKey

METHODS = ("get", "post", "put", "patch", "delete")
# Open to everyone, each for its reason.
OPEN = {
    "/api/schema", "/api/docs", "/api/redoc", "/api/v1",  # documentation
    "/api/auth/login", "/api/auth/refresh", "/api/auth/single_sign_on",  # how one gets in
    "/api/auth/password_reset", "/api/auth/password_by_link",
    "/api/auth/passkeys/sign_in", "/api/auth/passkeys/sign_in/options",
    "/api/v1/leads/health",  # asked by monitors
    "/api/",  # what says that there is nothing at an address
}  # fmt: skip
# What is proven otherwise than by the header: a token in the body, a signature, a secret address.
OWN_PROOF = re.compile(
    r"/api/(?:v1/)?(?:auth/logout|hooks/[^/]+|(?:notifications/)?unsubscribe|calendar/a+/)"
)


def addresses(patterns=None, before="/"):
    """(path with `1` for every parameter, view) of every pattern below."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield plain(path), pattern.callback
        else:
            yield from addresses(pattern.url_patterns, path)


PARAMETER = re.compile(r"\(\?P<(\w+)>((?:[^()]|\([^()]*\))*)\)|<(?:\w+:)?(\w+)>")
# What stands for a parameter: a word by its name, else the first of these that its form allows.
WORDS = {"resource": "leads", "resource_type": "leads"}
VALUES = ("1", "00000000-0000-4000-8000-000000000000", "a" * 43)


def value(found):
    name, form = found[1] or found[3], found[2] or ".*"
    return WORDS.get(name) or next((v for v in VALUES if re.fullmatch(form, v)), f"<no value for {form}>")


def plain(path):
    """`/api/^v1/leads/(?P<pk>[^/.]+)/?$` as `/api/v1/leads/1`."""
    path = PARAMETER.sub(value, path)
    return path.replace("^", "").replace("/?", "").replace("$", "").replace("\\Z", "").replace("\\", "")


def endpoints():
    """(method, path) of everything below /api/ that a view answers to."""
    for path, view in addresses():
        if path.startswith("/api/"):
            # A viewset names its methods, a class of views has them, and a function may take any.
            kind = getattr(view, "view_class", None)
            named = getattr(view, "actions", None) or [m for m in METHODS if kind is None or hasattr(kind, m)]
            yield from ((method, path) for method in named if method in METHODS)


ENDPOINTS = sorted(set(endpoints()))


def statuses(client, wanted):
    """What is answered at each door that should be closed and is not."""
    found = {}
    for method, path in ENDPOINTS:
        if path in OPEN or OWN_PROOF.match(path):
            continue
        with transaction.atomic():
            client.raise_request_exception = False
            response = getattr(client, method)(path)
            transaction.set_rollback(True)
        if response.status_code != wanted:
            found[method, path] = response.status_code
    return found


def test_the_endpoints_are_found():
    assert len(ENDPOINTS) > 150
    assert [path for _, path in ENDPOINTS if "<" in path] == []
    assert {("post", "/api/v1/leads/bulk-update"), ("delete", "/api/auth/sessions/1")} <= set(ENDPOINTS)
    assert {path for _, path in ENDPOINTS} >= OPEN


@pytest.mark.django_db
def test_nobody_gets_in_unnamed():
    assert statuses(APIClient(), 401) == {}


@pytest.mark.django_db
def test_a_key_without_scopes_gets_nowhere(admin_user):
    """Not even an administrator's."""
    _, text = keys.make(admin_user, "none", ["read"])
    ApiKey.objects.update(scopes=[])
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    assert statuses(client, 403) == {("get", "/api/auth/me"): 200}


@pytest.mark.django_db
def test_a_reading_key_writes_nothing(admin_user):
    _, text = keys.make(admin_user, "reading", ["read"])
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    let_in = {door: status for door, status in statuses(client, 403).items() if door[0] != "get"}
    assert let_in == {}
