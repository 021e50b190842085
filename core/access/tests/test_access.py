"""Roles and actions asked of the querysets themselves, where no view has looked at the role before."""

import pytest

from core.access import Permission
from core.accounts.models import User
from core.accounts.tests.factories import TeamFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.models import Pipeline

pytestmark = pytest.mark.django_db
ROLES = ("admin", "manager", "rep", "viewer")


def allowed(rows, user) -> set[str]:
    """The actions that `user` may do on some of the rows."""
    return {str(action) for action in Permission if rows.visible_to(user, action).exists()}


@pytest.mark.parametrize(
    ("role", "actions"),
    [
        ("admin", set(Permission.values)),
        ("manager", {"view", "add", "change", "delete", "share", "automate"}),
        ("rep", {"view", "add", "change", "delete", "share"}),
        ("viewer", {"view"}),
    ],
)
def test_a_record_in_reach_is_open_to_the_actions_of_the_role(make_user, role, actions):
    user = make_user(role, team=TeamFactory(name="East"))
    LeadFactory(first_name="Ada", owner=user)
    assert allowed(Lead.objects, user) == actions


@pytest.mark.parametrize("role", ROLES)
def test_who_was_deactivated_reaches_nothing(make_user, role):
    user = make_user(role, is_active=False)
    LeadFactory(first_name="Ada", owner=user)
    assert allowed(Lead.objects, user) == set()
    assert allowed(Pipeline.objects, user) == set()


@pytest.mark.parametrize("role", ROLES)
def test_settings_are_read_by_everyone_and_changed_by_administrators(make_user, role):
    found = allowed(Pipeline.objects, make_user(role))
    assert found == (set(Permission.values) if role == "admin" else {"view"})


def test_superusers_are_changed_by_superusers_alone(make_user, admin_user):
    root = make_user("rep", is_superuser=True)
    changeable = {user.pk for user in User.objects.visible_to(admin_user, Permission.CHANGE)}
    assert changeable == {admin_user.pk}
    assert {user.pk for user in User.objects.visible_to(root, Permission.CHANGE)} == {admin_user.pk, root.pk}
