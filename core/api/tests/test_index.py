"""What somebody finds who opens the address of the API."""

import pytest

pytestmark = pytest.mark.django_db


def test_the_address_of_the_api_shows_what_there_is(api):
    found = api().get("/api/v1/")
    assert found.status_code == 200
    body = found.json()
    assert body["docs"] == "http://testserver/api/docs"
    assert body["login"] == "http://testserver/api/auth/login"
    assert body["resources"]["leads"] == "http://testserver/api/v1/leads/"


def test_every_list_it_shows_of_opens(api, admin_user):
    resources = api().get("/api/v1").json()["resources"]
    assert len(resources) > 20
    statuses = {name: api(admin_user).get(url).status_code for name, url in resources.items()}
    assert statuses == dict.fromkeys(resources, 200)
