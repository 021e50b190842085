"""The people of the tests: an owner, colleagues in a tree of teams, and nobody's friends.

Models are imported inside: pytest reads this file before Django is set up.
"""

import pytest


@pytest.fixture
def people(make_user):
    """West has Inside below it; everyone else is elsewhere. Who owns things is of no team."""
    from core.accounts.tests.factories import TeamFactory

    west = TeamFactory(name="West")
    inside = TeamFactory(name="Inside", parent=west)
    return {
        "west": west,
        "inside": inside,
        "owner": make_user("rep", first_name="Olive", last_name="Owner"),
        "rep": make_user("rep", team=west, first_name="Ada", last_name="Byron"),
        "below": make_user("rep", team=inside),
        "manager": make_user("manager", team=TeamFactory(name="East")),
        "viewer": make_user("viewer", team=west),
        "stranger": make_user("rep"),
    }
