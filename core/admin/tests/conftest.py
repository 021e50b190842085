"""Staff in two teams, each with a browser."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client


@pytest.fixture
def staff(db: None) -> Callable[..., Any]:
    """staff(name, role, **fields) → someone who may open the admin site."""

    from core.accounts.tests.factories import UserFactory  # models can be imported once Django is set up

    def make(name: str, role: str = "rep", **fields: Any) -> Any:
        return UserFactory(username=name, role=role, is_staff=True, **fields)

    return make


def team(name: str) -> Any:
    from core.accounts.tests.factories import TeamFactory

    return TeamFactory(name=name)


@pytest.fixture
def browser() -> Callable[[Any], Client]:
    def open_browser(user: Any) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return open_browser


@pytest.fixture
def boss(staff: Callable[..., Any]) -> Any:
    return staff("boss", "admin")


@pytest.fixture
def robin(staff: Callable[..., Any]) -> Any:
    return staff("robin", "rep", team=team("West"))


@pytest.fixture
def nora(staff: Callable[..., Any]) -> Any:
    return staff("nora", "rep", team=team("East"))
