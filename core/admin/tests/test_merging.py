"""Merging records in the admin site: whose values count is asked, and a merge is undone there as well."""

import pytest
from django.urls import reverse

from contacts.tests.factories import CompanyFactory, ContactFactory
from core.admin.tests.forms import filled_in
from core.changes.dispatch import dispatch
from core.duplicates.groups import dismiss
from core.duplicates.models import DuplicatePair, Merge
from core.duplicates.tasks import find_duplicates
from core.duplicates.tests.factories import DuplicateRuleFactory
from core.entities.models import DuplicateRule
from lead_management.entity import LEAD
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


def test_the_rules_say_what_a_record_may_be_the_same_as(browser, boss, robin):
    names = {"first_name": "Ada", "last_name": "Byron", "company_name": "Engines"}
    lead, twin = LeadFactory(**names, email="ada@x.example"), LeadFactory(**names)
    dismissed = LeadFactory(email="ada@x.example")
    became = ContactFactory(email="ada@x.example", first_name="Became")
    Lead.objects.filter(pk=lead.pk).update(converted_contact=became)
    ContactFactory(email="ada@x.example", first_name="Grace", last_name="Known")
    url = reverse("admin:lead_management_lead_change", args=[lead.pk])
    page = browser(boss).get(url).content.decode()
    assert MERGE.format(lead.pk, dismissed.pk).replace(",", "%2C") in page
    assert MERGE.format(lead.pk, twin.pk).replace(",", "%2C") not in page
    DuplicateRuleFactory(compare="name_company", match="fuzzy")
    DuplicateRuleFactory(compare="email", across="contact")
    dismiss(LEAD, [lead.pk, dismissed.pk], boss)
    page = browser(boss).get(url).content.decode()
    assert MERGE.format(lead.pk, twin.pk).replace(",", "%2C") in page
    assert MERGE.format(lead.pk, dismissed.pk).replace(",", "%2C") not in page
    assert "Grace Known" in page
    # The contact that it became is none.
    assert page.count("Contact: same E-mail address") == 1
    Lead.objects.filter(pk=lead.pk).update(owner=robin)
    assert "Grace Known" not in browser(robin).get(url).content.decode()


def test_groups_are_listed_dismissed_and_merged(browser, boss, robin):
    pairs = [[LeadFactory(email=f"{n}@x.example", city=city) for city in ("", "Rome")] for n in range(3)]
    ids = [f"{pair[0].pk},{pair[1].pk}" for pair in pairs]
    dispatch()
    find_duplicates()
    client, url = browser(boss), "/admin/core/merge/duplicates/?entity=lead"
    page = client.get(url).content.decode()
    assert all(f'value="{one}"' in page for one in ids)
    assert "E-mail address" in page
    assert "90 %" in page
    assert client.post(url, {"dismiss": ids[0]}).status_code == 302
    assert f'value="{ids[0]}"' not in client.get(url).content.decode()
    asked = client.post(url, {"_selected_action": ids[:2], "merge": "1"})
    shown = asked.content.decode()
    assert "Merge 2 groups" in shown
    assert f"{pairs[1][1].pk} into {pairs[1][0].pk}: city: Rome" in shown
    assert "They are not all the same" in shown
    assert not Merge.objects.exists()
    assert browser(robin).post(url, {"_selected_action": ids[1:2], "verb_sent": "1"}).status_code == 302
    assert not Merge.objects.exists()
    done = client.post(url, {"_selected_action": ids[:2], "verb_sent": "1"})
    assert (done.status_code, Merge.objects.get().object_id) == (302, pairs[1][0].pk)
    assert f'value="{ids[2]}"' not in browser(robin).get(url).content.decode()


def test_groups_that_are_too_large_or_share_records_are_refused(browser, boss):
    a, b, c = (LeadFactory(email="a@x.example").pk for _ in range(3))
    client, url = browser(boss), "/admin/core/merge/duplicates/?entity=lead"
    large = [",".join(map(str, range(start, start + 101))) for start in range(1, 506, 101)]
    for groups in ([f"{a}"], [f"{a},{b}", f"{b},{c}"], [",".join(map(str, range(1, 103)))], large):
        for sent in ({}, {"verb_sent": "1"}):
            refused = client.post(url, {"_selected_action": groups} | sent, follow=True)
            assert "Choose " in "".join(str(message) for message in refused.context["messages"])
    for ids in (f"{a}", ",".join(map(str, range(1, 103)))):
        assert client.post(url, {"dismiss": ids}).status_code == 302
    assert not Merge.objects.exists()
    assert not DuplicatePair.objects.exists()
    assert Lead.objects.filter(archived_at=None).count() == 3


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
    assert "Not one of: name, domain, email, phone, address." in bad.content.decode()
    assert not DuplicateRule.objects.exists()
    assert client.post(url, filled_in(client.get(url), **rule)).status_code == 302
    made = DuplicateRule.objects.get()
    assert (made.name, made.match, made.threshold, made.is_active) == ("Same firm", "fuzzy", 0.6, True)
    assert browser(robin).post(url, rule).status_code == 403
    assert DuplicateRule.objects.count() == 1
