"""Round robin goes on where it was, request after request."""

import pytest

from core.accounts.tests.factories import TeamFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/leads/"


@pytest.fixture
def people(make_user):
    return [make_user("rep") for _ in range(3)]


@pytest.fixture
def team(people):
    made = TeamFactory(name="West")
    for user in people:
        user.team = made
        user.save()
    return made


def lead():
    return LeadFactory(first_name="Ada").pk


def assigned(*ids):
    return [Lead.objects.get(pk=pk).assigned_to_id for pk in ids]


def test_one_lead_a_request_goes_round(admin, people):
    ids = [user.pk for user in people]
    leads = [lead() for _ in range(4)]
    for pk in leads:
        body = {"ids": [pk], "users": ids, "method": "round_robin"}
        assert admin.post(f"{URL}assign/", body).json()["updated"] == 1
    assert assigned(*leads) == [*ids, ids[0]]


def test_a_bulk_change_by_team_goes_on_where_assign_was(admin, people, team):
    ids = [user.pk for user in people]
    first, second, third = lead(), lead(), lead()
    admin.post(f"{URL}assign/", {"ids": [first], "team": team.pk})
    body = {"ids": [second, third], "action": "assign", "data": {"team": team.pk}}
    assert admin.post(f"{URL}bulk_update/", body).json()["updated"] == 2
    assert assigned(first, second, third) == ids


def test_each_set_of_people_has_its_own_turn_whatever_their_order(admin, people):
    one, two, three = (user.pk for user in people)
    leads = [lead() for _ in range(4)]
    for pk, users in zip(leads, ([one, two], [two, three], [two, one], [one, two]), strict=True):
        admin.post(f"{URL}assign/", {"ids": [pk], "users": users})
    assert assigned(*leads) == [one, two, two, one]


def test_what_is_not_there_takes_nobodys_turn(admin, people):
    ids = [user.pk for user in people]
    first, second = lead(), lead()
    response = admin.post(f"{URL}assign/", {"ids": [999_999, first], "users": ids})
    assert response.status_code == 207
    admin.post(f"{URL}assign/", {"ids": [second], "users": ids})
    assert assigned(first, second) == ids[:2]


def test_a_request_that_is_refused_takes_nobodys_turn(admin, people):
    ids = [user.pk for user in people]
    first = lead()
    refused = admin.post(f"{URL}assign/", {"ids": [999_999, first], "users": ids, "mode": "atomic"})
    assert refused.status_code == 400
    admin.post(f"{URL}assign/", {"ids": [first], "users": ids})
    assert assigned(first) == ids[:1]


@pytest.mark.django_db(transaction=True)
def test_at_the_same_time_everybody_gets_the_same_number(admin_user, api, at_once, people):
    ids = [user.pk for user in people]
    leads = [lead() for _ in range(6)]
    works = [
        lambda pk=pk: api(admin_user).post(f"{URL}assign/", {"ids": [pk], "users": ids}).status_code
        for pk in leads
    ]
    assert at_once(*works) == [200] * 6
    assert sorted(assigned(*leads)) == sorted(ids * 2)
