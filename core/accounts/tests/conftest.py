import pytest
from rest_framework.test import APIClient

from core.accounts import limits

PASSWORD = "correct horse battery"


@pytest.fixture
def anonymous():
    return APIClient()


@pytest.fixture
def log_in(anonymous):
    """log_in(user, password) → the tokens of a new session."""

    def log_in(user, password=PASSWORD):
        response = anonymous.post("/api/auth/login/", {"username": user.username, "password": password})
        assert response.status_code == 200, response.content
        return response.json()

    return log_in


@pytest.fixture
def bearing():
    """bearing(token) → a client that sends it."""

    def client(token):
        made = APIClient()
        made.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return made

    return client


@pytest.fixture(autouse=True)
def no_counts_yet():
    limits._client().flushdb()
