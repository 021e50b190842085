"""Shares in the admin site: on a record's page and in their own list."""

import pytest

from core.admin.tests.forms import filled_in
from core.customization.tests.factories import SavedViewFactory
from core.sharing.models import Share
from core.sharing.tests.factories import ShareFactory
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(client, people):
    people["owner"].is_staff = True
    people["owner"].save()
    client.force_login(people["owner"])
    return client


def page_of(lead):
    return f"/admin/lead_management/lead/{lead.pk}/"


def test_a_record_is_shared_on_its_page_and_says_with_whom(browser, people):
    lead = LeadFactory(owner=people["owner"])
    sent = {"share-user": people["rep"].pk, "share-team": "", "share-access": "write"}
    assert browser.post(f"{page_of(lead)}log/share/", sent).status_code == 302
    assert [(s.user, s.access, s.created_by) for s in Share.objects.all()] == [
        (people["rep"], "write", people["owner"])
    ]
    page = browser.get(f"{page_of(lead)}change/").content.decode()
    for words in ("Shared with", "Ada Byron", "may change it", "shared with Ada Byron to change"):
        assert words in page, words


def test_what_cannot_be_shared_says_why_and_stays(browser, people):
    lead = LeadFactory(owner=people["stranger"])
    ShareFactory(record=lead, user=people["owner"], access="write")
    sent = {"share-user": people["rep"].pk, "share-team": "", "share-access": "read"}
    answer = browser.post(f"{page_of(lead)}log/share/", sent, follow=True)
    assert "You may see this record but not share it." in answer.content.decode()
    assert Share.objects.count() == 1


def test_one_takes_back_what_one_may_share_and_sees_no_other_share(browser, people):
    own = ShareFactory(record=LeadFactory(owner=people["owner"]), user=people["rep"])
    other = ShareFactory(record=LeadFactory(owner=people["stranger"]), user=people["owner"])
    page = browser.get("/admin/core/share/").content.decode()
    assert (f"/admin/core/share/{own.pk}/" in page, f"/admin/core/share/{other.pk}/" in page) == (True, False)
    assert browser.post(f"/admin/core/share/{own.pk}/delete/", {"post": "yes"}).status_code == 302
    assert list(Share.objects.all()) == [other]


def test_a_share_is_not_changed_to_one_that_has_ended(browser, people):
    own = ShareFactory(record=LeadFactory(owner=people["owner"]), user=people["rep"])
    past = {"access": "write", "expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}
    page = browser.post(f"/admin/core/share/{own.pk}/change/", past)
    assert "This is past." in page.content.decode()
    own.refresh_from_db()
    assert (own.access, own.expires_at) == ("read", None)


def test_a_view_that_one_may_change_is_not_ones_to_share_with_everyone(client, people):
    people["rep"].is_staff = True
    people["rep"].save()
    client.force_login(people["rep"])
    view = SavedViewFactory(name="Hot", owner=people["owner"])
    ShareFactory(record=view, user=people["rep"], access="write")
    url = f"/admin/core/savedview/{view.pk}/change/"
    given = filled_in(client.get(url)) | {"name": "Hotter"}
    page = client.post(url, given | {"is_shared": "on"})
    assert "You may change this view but not share it." in page.content.decode()
    view.refresh_from_db()
    assert (view.name, view.is_shared) == ("Hot", False)
    assert client.post(url, given).status_code == 302
    view.refresh_from_db()
    assert view.name == "Hotter"
