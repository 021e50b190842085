"""Merging records in the admin site: whose values count is asked, and a merge is undone there as well."""

import pytest
from django.urls import reverse

from contacts.tests.factories import CompanyFactory
from core.admin.tests.forms import filled_in
from core.duplicates.models import Merge
from core.entities.models import DuplicateRule
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
MERGE = "/admin/lead_management/lead/merge/?ids={},{}"


def test_a_page_asks_whose_values_count_and_merges(browser, boss):
    survivor = LeadFactory(first_name="Ada", last_name="Byron", phone="+442079460000", tags=["a"])
    other = LeadFactory(
        first_name="Ada", city="Rome", phone="+442079460001", tags=["b"], custom_fields={"size": 3}
    )
    client, url = browser(boss), MERGE.format(survivor.pk, other.pk)
    page = client.get(url)
    asked = filled_in(page)
    assert {name: asked[name] for name in asked if name.startswith("choice-")} == {
        "choice-last_name": [str(survivor.pk)],
        "choice-phone": [str(survivor.pk)],
        "choice-city": [str(other.pk)],
        "choice-custom_fields.size": [str(other.pk)],
    }
    sent = client.post(url, asked | {"choice-phone": str(other.pk)})
    assert (sent.status_code, sent["Location"]) == (
        302,
        reverse("admin:lead_management_lead_change", args=[survivor.pk]),
    )
    found = Lead.objects.get(archived_at=None)
    assert (found.pk, found.last_name, found.phone, found.city) == (
        survivor.pk,
        "Byron",
        "+442079460001",
        "Rome",
    )
    assert (found.tags, found.custom_fields) == (["a", "b"], {"size": 3})
    undo = reverse("admin:core_merge_undo", args=[Merge.objects.get().pk])
    assert client.get(undo).status_code == 200
    assert client.post(undo, filled_in(client.get(undo))).status_code == 302
    assert Lead.objects.filter(archived_at=None).count() == 2
    assert Lead.objects.get(pk=survivor.pk).phone == "+442079460000"


def test_a_record_says_what_it_may_be_the_same_as(browser, boss):
    lead, twin = LeadFactory(email="ada@x.example"), LeadFactory(email="ada@x.example")
    page = browser(boss).get(reverse("admin:lead_management_lead_change", args=[lead.pk])).content.decode()
    assert "Possible duplicates" in page
    assert MERGE.format(lead.pk, f"{twin.pk}").replace(",", "%2C") in page
    other = browser(boss).get(reverse("admin:contacts_company_change", args=[CompanyFactory().pk]))
    assert "Possible duplicates" not in other.content.decode()


def test_records_of_a_list_are_merged_by_an_action(browser, boss):
    pair = sorted(lead.pk for lead in (LeadFactory(), LeadFactory()))
    body = {"action": "merge_selected", "_selected_action": pair}
    sent = browser(boss).post("/admin/lead_management/lead/", body)
    assert (sent.status_code, sent["Location"]) == (302, MERGE.format(*pair).replace(",", "%2C"))


def test_who_may_not_change_both_merges_none(browser, robin, boss):
    mine, hers = LeadFactory(owner=robin), LeadFactory(owner=boss)
    client = browser(robin)
    for send in (client.get, client.post):
        answer = send(MERGE.format(mine.pk, hers.pk))
        assert answer.status_code == 302
    assert Lead.objects.filter(archived_at=None).count() == 2
    assert not Merge.objects.exists()


def test_rules_are_written_under_data(browser, boss, robin):
    client, url = browser(boss), "/admin/core/duplicaterule/add/"
    rule = {
        "name": "Same firm",
        "entity": "company",
        "compare": "name",
        "match": "fuzzy",
        "on_create": "warn",
    }
    bad = client.post(url, filled_in(client.get(url), **rule | {"compare": "name_company"}))
    assert "Not one of: name, domain, email, phone." in bad.content.decode()
    assert not DuplicateRule.objects.exists()
    assert client.post(url, filled_in(client.get(url), **rule)).status_code == 302
    made = DuplicateRule.objects.get()
    assert (made.name, made.match, made.threshold, made.is_active) == ("Same firm", "fuzzy", 0.6, True)
    assert browser(robin).post(url, rule).status_code == 403
    assert DuplicateRule.objects.count() == 1
