"""Groups of records that may be the same: what is found in the background, who sees it, what is dismissed,
and merging exact ones."""

from random import Random
from zlib import crc32

import pytest
from django.db import DataError, connection
from django.utils import timezone

from contacts.tests.factories import CompanyFactory, ContactFactory
from core.changes.dispatch import dispatch
from core.customization.tests.factories import FieldRightFactory
from core.duplicates import bulk_merging, finding
from core.duplicates import groups as grouping
from core.duplicates.finding import find_once
from core.duplicates.groups import GroupQuery, shown
from core.duplicates.models import DuplicateCheck, DuplicatePair, DuplicateScan, Merge
from core.duplicates.tasks import compare_all_duplicates, find_duplicates
from core.duplicates.tests.factories import DuplicateRuleFactory
from core.entities import entities, writing
from core.entities.locks import FINDING_DUPLICATES
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/leads/duplicates/"
NUMBER = "+14155552671"


def found():
    """Everything that waits is compared; how many records that were."""
    dispatch()
    return find_duplicates()


def groups(client, url=URL, **params):
    answer = client.get(url, params)
    assert answer.status_code == 200, answer.json()
    return [
        ([record["id"] for record in group["records"]], group["reasons"], group["score"])
        for group in answer.json()["results"]
    ]


# -- finding ------------------------------------------------------------------------------------------


def test_groups_are_found_with_their_reasons_and_score(admin):
    ada = LeadFactory(first_name="Ada", last_name="Byron", email="a@x.example", phone=NUMBER)
    twin = LeadFactory(first_name="Ada", last_name="B", email="a@x.example", mobile="(415) 555-2671")
    third = LeadFactory(first_name="A", last_name="Lovelace", phone=NUMBER)
    pair = [LeadFactory(email="b@x.example") for _ in range(2)]
    LeadFactory(email="c@x.example")
    LeadFactory(email="a@x.example", archived_at=timezone.now())
    ContactFactory(email="a@x.example")
    found()
    [first, second] = admin.get(URL).json()["results"]
    assert first == {
        "score": 0.98,
        "reasons": ["email", "phone"],
        "exact": True,
        "records": [
            {"id": ada.pk, "name": "Ada Byron"},
            {"id": twin.pk, "name": "Ada B"},
            {"id": third.pk, "name": "A Lovelace"},
        ],
    }
    assert ([r["id"] for r in second["records"]], second["score"]) == ([lead.pk for lead in pair], 0.9)
    assert groups(admin, "/api/v1/contacts/duplicates/") == []


def test_groups_are_chosen_by_score_reason_and_exactness(admin):
    chain = [LeadFactory(email="a@x.example"), LeadFactory(email="a@x.example", phone=NUMBER)]
    chain.append(LeadFactory(phone=NUMBER))
    pair = [LeadFactory(phone="+14155550001") for _ in range(2)]
    found()
    ids = [[lead.pk for lead in some] for some in (chain, pair)]
    assert [group[0] for group in groups(admin)] == ids
    assert [group[0] for group in groups(admin, exact="true")] == [ids[1]]
    assert [group[0] for group in groups(admin, exact="false")] == [ids[0]]
    assert [group[0] for group in groups(admin, min_score=0.85)] == [ids[0]]
    assert [group[0] for group in groups(admin, reason="phone")] == ids
    assert groups(admin, reason="name") == []
    for bad in ({"min_score": 2}, {"min_score": "nan"}, {"exact": "perhaps"}, {"nonsense": 1}, {"page": 0}):
        assert admin.get(URL, bad).status_code == 400


def test_only_what_changed_is_compared_again(admin):
    pair = [LeadFactory(email="a@x.example") for _ in range(2)]
    other = LeadFactory(email="b@x.example")
    found()
    assert found() == 0
    Lead.objects.filter(pk=other.pk).update(notes="words")
    assert found() == 0
    Lead.objects.filter(pk=other.pk).update(email="a@x.example")
    assert found() == 1
    assert groups(admin)[0][0] == [*(lead.pk for lead in pair), other.pk]
    Lead.objects.filter(pk=pair[0].pk).update(email="")
    assert found() == 1
    assert groups(admin)[0][0] == [pair[1].pk, other.pk]
    assert admin.delete(f"/api/v1/leads/{other.pk}/").status_code == 204
    # Before the background has come to it as well.
    assert groups(admin) == []
    found()
    assert not DuplicatePair.objects.exists()
    assert not DuplicateCheck.objects.exists()


def test_groups_join_and_come_apart(admin):
    first, second = ([LeadFactory(email=f"{n}@x.example") for _ in range(2)] for n in "ab")
    found()
    link = LeadFactory(email="a@x.example", phone=NUMBER)
    Lead.objects.filter(pk=second[1].pk).update(phone=NUMBER)
    found()
    everyone = [*(lead.pk for lead in (*first, *second)), link.pk]
    assert [group[0] for group in groups(admin)] == [everyone]
    Lead.objects.filter(pk=first[0].pk).delete()
    Lead.objects.filter(pk=link.pk).update(phone="")
    found()
    apart = [[first[1].pk, link.pk], [lead.pk for lead in second]]
    assert [group[0] for group in groups(admin)] == apart
    assert DuplicatePair.objects.values("group_id").distinct().count() == 2


def test_a_rule_has_everything_compared_by_it(admin):
    pair = [LeadFactory(first_name="Ada", last_name="Byron", company_name="Acme") for _ in range(2)]
    companies = [CompanyFactory(name=name) for name in ("Analytical Engines", "Analitical Engines")]
    found()
    assert groups(admin) == []
    rule = DuplicateRuleFactory(compare="name_company", on_create="allow")
    DuplicateRuleFactory(entity="company", compare="name", match="fuzzy", threshold=0.5)
    found()
    assert groups(admin) == [([lead.pk for lead in pair], ["name_company"], 0.8)]
    [group] = admin.get("/api/v1/companies/duplicates/").json()["results"]
    assert [record["id"] for record in group["records"]] == [company.pk for company in companies]
    assert (group["reasons"], group["score"], group["exact"]) == (["name:fuzzy"], 0.3, False)
    rule.name = "Another name"
    rule.save()
    assert found() == 0
    rule.is_active = False
    rule.save()
    found()
    assert groups(admin) == []


def test_of_two_rules_that_compare_alike_texts_each_is_asked(admin):
    companies = [CompanyFactory(name=name) for name in ("Analytical Engines", "Analitical Engines")]
    for threshold in (0.5, 0.95):
        DuplicateRuleFactory(entity="company", compare="name", match="fuzzy", threshold=threshold)
    found()
    ids = [company.pk for company in companies]
    assert groups(admin, "/api/v1/companies/duplicates/") == [(ids, ["name:fuzzy"], 0.3)]


def test_what_is_only_alike_connects_no_groups(admin):
    DuplicateRuleFactory(entity="company", compare="name", match="fuzzy", threshold=0.5)
    first, alike, same = (
        CompanyFactory(name=f"{name} Engines").pk for name in ("Analytical", "Analitical", "Analytical")
    )
    found()
    expected = [[first, same], [alike, same], [first, alike]]
    listed = [group[0] for group in groups(admin, "/api/v1/companies/duplicates/")]
    assert sorted(listed) == sorted(expected)
    assert listed[0] == expected[0]
    exact = groups(admin, "/api/v1/companies/duplicates/", exact="true")
    assert [group[0] for group in exact] == expected[:1]


def test_of_a_large_group_the_surest_pairs_are_shown(admin, monkeypatch):
    LeadFactory(phone=NUMBER)
    pair = [LeadFactory(phone=NUMBER, email="a@x.example").pk for _ in range(2)]
    found()
    monkeypatch.setattr(grouping, "SHOWN_PAIRS", 1)
    assert [group[0] for group in groups(admin)] == [pair]


@pytest.mark.parametrize("hubs", [1, 2])
def test_what_shares_with_many_that_share_with_few_comes_to_an_end(admin, hubs):
    numbers = [NUMBER] * 10 + ["+394155552671"] * 10 + ["(415) 555-2671"] * hubs
    ids = [LeadFactory(phone=number).pk for number in numbers]
    dispatch()
    # Once more those whose pairs it might have ended, and then nothing.
    assert [find_once(entities["lead"]) for _ in range(3)] == [20 + hubs, 20, 0]
    # The number without its country is that of too many, those with it are not.
    assert [group[0] for group in groups(admin)] == [ids[:10], ids[10:20]]
    Lead.objects.filter(pk=ids[0]).update(mobile="+14155550001")
    assert [found(), found()] == [1, 0]
    assert [group[0] for group in groups(admin)] == [ids[:10], ids[10:20]]


def test_what_cannot_be_compared_stops_nothing_else(admin, monkeypatch):
    leads = [LeadFactory(email=f"{n % 5}@x.example").pk for n in range(10)]
    pair = [ContactFactory(email="a@x.example").pk for _ in range(2)]
    compare = finding.pairs_of

    def fails(reasons, rows, echoes):
        if any(row["id"] == leads[2] for row in rows):
            raise DataError("one record that cannot be compared")
        return compare(reasons, rows, echoes)

    monkeypatch.setattr(finding, "pairs_of", fails)
    monkeypatch.setattr(finding, "CHUNK", 4)
    found()
    assert groups(admin, "/api/v1/contacts/duplicates/") == [(pair, ["email"], 0.9)]
    for _ in range(20):
        find_duplicates()
    assert [group[0] for group in groups(admin)] == [[leads[n], leads[n + 5]] for n in range(5)]
    assert not DuplicateCheck.objects.exists()
    scan = DuplicateScan.objects.get(entity="lead")
    assert (scan.after_id, scan.chunk) == (None, 4)
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("20s",)


def test_a_changed_rule_is_noted_without_waiting_for_a_comparison():
    found()
    DuplicateRuleFactory(entity="company", compare="name")
    before = list(DuplicateScan.objects.order_by("id").values())
    dispatch()
    assert list(DuplicateScan.objects.order_by("id").values()) == before
    assert list(DuplicateCheck.objects.values_list("entity", "record_id")) == [("company", finding.ALL)]


def test_what_many_share_is_no_reason(admin):
    leads = [LeadFactory(phone=NUMBER, email="a@x.example" if n < 2 else "") for n in range(19)]
    found()
    assert [(len(group[0]), group[1]) for group in groups(admin)] == [(19, ["email", "phone"])]
    LeadFactory(phone=NUMBER)
    found()
    assert groups(admin) == [([lead.pk for lead in leads[:2]], ["email"], 0.9)]
    leads[5].delete()
    found()
    assert [len(group[0]) for group in groups(admin)] == [19]


def test_many_that_come_at_once_end_the_pairs_of_those_who_were_there(admin):
    leads = [LeadFactory(phone=NUMBER) for _ in range(19)]
    found()
    Lead.objects.filter(pk__in=[lead.pk for lead in leads]).update(notes="Stored anew, behind all others.")
    assert DuplicatePair.objects.count() == 171
    LeadFactory.create_batch(45, phone=NUMBER)
    Lead.objects.filter(pk__in=[lead.pk for lead in leads]).update(notes="And again.")
    found()
    assert (DuplicatePair.objects.count(), DuplicateCheck.objects.count()) == (0, 0)


@pytest.mark.parametrize("leave", ["changed", "archived", "deleted"])
def test_those_who_are_left_of_many_make_pairs(admin, monkeypatch, leave):
    monkeypatch.setattr(finding, "CHUNK", 3)
    leads = [LeadFactory(email="a@x.example", first_name=f"{n}") for n in range(26)]
    found()
    assert not DuplicatePair.objects.exists()
    gone = Lead.objects.filter(pk__in=[lead.pk for lead in leads[:20]])
    if leave == "changed":
        gone.update(email="b@x.example")
        gone.filter(pk__lt=leads[12].pk).update(email="")
    elif leave == "archived":
        gone.update(archived_at=timezone.now())
    else:
        gone.delete()
    found()
    left = [lead.pk for lead in leads[20:]]
    others = [[lead.pk for lead in leads[12:20]]] if leave == "changed" else []
    assert sorted(group[0] for group in groups(admin)) == sorted([left, *others])
    assert not DuplicateCheck.objects.exists()


def test_all_records_are_compared_in_several_turns(admin, monkeypatch):
    monkeypatch.setattr(finding, "CHUNK", 3)
    for n in range(5):
        LeadFactory.create_batch(2, email=f"{n}@x.example")
    found()
    DuplicatePair.objects.all().delete()
    compare_all_duplicates()
    assert [find_once(entities["lead"]) for _ in range(5)] == [3, 3, 3, 1, 0]
    assert DuplicateScan.objects.get(entity="lead").after_id is None
    assert len(groups(admin)) == 5


def stored_pairs():
    return list(
        DuplicatePair.objects.order_by("low_id", "high_id").values_list(
            "low_id", "high_id", "score", "reasons", "group_id", "exact"
        )
    )


def as_a_comparison_of_all_gives():
    """The pairs found change by change, which are those that a comparison of all records gives."""
    found()
    one_by_one = stored_pairs()
    DuplicatePair.objects.all().delete()
    compare_all_duplicates()
    find_duplicates()
    assert stored_pairs() == one_by_one
    return one_by_one


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_change_by_change_around_what_is_too_many(seed):
    """Two addresses that about twenty of forty have."""
    dice = Random(seed)  # noqa: S311  (nothing secret)
    emails = ["a@x.example", "a@x.example", "b@x.example", "c@x.example"]
    LeadFactory.create_batch(19, email="a@x.example")
    LeadFactory.create_batch(18, email="b@x.example")
    found()
    for _ in range(30):
        pks = list(Lead.objects.values_list("pk", flat=True).order_by("pk"))
        some = Lead.objects.filter(pk__in=dice.sample(pks, dice.choice([1, 1, 2, 9])))
        step = dice.choice(["create", "change", "change", "archive", "restore", "delete"])
        if step == "create":
            LeadFactory.create_batch(dice.choice([1, 2, 9]), email=dice.choice(emails))
        elif step == "change":
            some.update(email=dice.choice(emails))
        elif step == "delete":
            Lead.objects.filter(pk=dice.choice(pks)).delete()
        else:
            some.update(archived_at=timezone.now() if step == "archive" else None)
        if dice.random() < 0.4:
            found()
    as_a_comparison_of_all_gives()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_change_by_change_gives_what_a_comparison_of_all_gives(seed):
    dice = Random(seed)  # noqa: S311  (nothing secret)
    emails, numbers = ["", "a@x.example", "b@x.example"], ["", NUMBER, "(415) 555-2671", "+14155550001"]

    def values():
        return {"email": dice.choice(emails), "phone": dice.choice(numbers), "mobile": dice.choice(numbers)}

    for _ in range(40):
        pks = list(Lead.objects.values_list("pk", flat=True).order_by("pk"))
        if len(pks) < 6 or dice.random() < 0.4:
            LeadFactory(**values())
        else:
            one = Lead.objects.filter(pk=dice.choice(pks))
            new = dice.choice([values(), {"archived_at": dice.choice([None, timezone.now()])}, {}])
            one.update(**new) if new else one.delete()
        if dice.random() < 0.3:
            found()
    assert as_a_comparison_of_all_gives()


def test_statements_do_not_grow_with_the_records(admin, django_assert_max_num_queries):
    for n in range(60):
        LeadFactory(email=f"{n % 30}@x.example")
    dispatch()
    with django_assert_max_num_queries(22):
        assert find_once(entities["lead"]) == 60
    assert DuplicatePair.objects.count() == 30
    with django_assert_max_num_queries(9):
        assert len(groups(admin, page_size=20)) == 20


# -- who sees what ------------------------------------------------------------------------------------


def test_what_one_does_not_see_is_as_if_it_were_not_there(api, rep, make_user, admin):
    own = [LeadFactory(email="a@x.example", owner=rep) for _ in range(2)]
    LeadFactory(email="a@x.example", phone=NUMBER, owner=make_user("rep"))
    linked = [LeadFactory(phone=NUMBER, owner=rep) for _ in range(2)]
    LeadFactory(email="b@x.example", owner=rep)
    LeadFactory(email="b@x.example", owner=make_user("rep"))
    found()
    first, second = ([lead.pk for lead in some] for some in (own, linked))
    # That a hidden one connects the two is not told, by no field and by no filter.
    assert groups(api(rep)) == [(first, ["email"], 0.9), (second, ["phone"], 0.8)]
    assert groups(api(rep), exact="true") == groups(api(rep))
    assert groups(api(rep), exact="false") == []
    assert groups(api(rep), exact="true", reason="phone") == groups(api(rep))[1:]
    assert groups(api(rep), min_score=0.85) == groups(api(rep))[:1]
    assert api(rep).get(URL).json()["results"][0].keys() == {"records", "reasons", "score", "exact"}
    assert [len(group[0]) for group in groups(admin)] == [5, 2]
    assert [len(group[0]) for group in groups(admin, exact="true")] == [2]
    assert groups(api(make_user("rep"))) == []
    Lead.objects.filter(pk__in=(own[0].pk, linked[0].pk)).update(owner=make_user("rep"))
    # Two that only a hidden one connects are not shown together.
    assert groups(api(rep)) == []


def test_what_is_hidden_counts_in_no_score_and_makes_nothing_exact(api, rep, admin):
    both = [LeadFactory(email="a@x.example", phone=NUMBER, owner=rep).pk for _ in range(2)]
    hidden = [LeadFactory(email="b@x.example", owner=rep).pk for _ in range(2)]
    # The first two agree in the address alone, and both with the third in a number.
    chain = [LeadFactory(email="c@x.example", owner=rep, phone="+14155550001").pk]
    chain += [LeadFactory(email="c@x.example", owner=rep, phone="+14155550002").pk]
    chain += [LeadFactory(owner=rep, phone="+14155550001", mobile="+14155550002").pk]
    found()
    assert groups(api(rep)) == [
        (both, ["email", "phone"], 0.98), (hidden, ["email"], 0.9), (chain, ["email", "phone"], 0.9),
    ]  # fmt: skip
    assert [group[0] for group in groups(api(rep), exact="false")] == []
    FieldRightFactory(field="email")
    limited = api(type(rep).objects.get(pk=rep.pk))
    seen = [(both, ["phone"], 0.8), (chain, ["phone"], 0.8)]
    assert groups(limited) == seen
    assert groups(limited, min_score=0.81) == groups(limited, reason="email") == []
    assert groups(limited, exact="true") == seen[:1]
    assert groups(limited, exact="false") == seen[1:]
    merged = limited.post(f"{URL}merge/", {"groups": [hidden, both], "dry_run": True}).json()["results"]
    assert [one.get("code") for one in merged] == ["not_exact", None]
    assert groups(admin)[0] == (both, ["email", "phone"], 0.98)


def test_a_group_that_is_gone_meanwhile_is_not_shown(admin_user):
    assert shown(entities["lead"], [{"group_id": 1}], admin_user, GroupQuery()) == []


def test_groups_come_in_pages(admin):
    for n in range(3):
        LeadFactory.create_batch(2, email=f"{n}@x.example")
    found()
    page = admin.get(URL, {"page_size": 2}).json()
    assert (page["count"], len(page["results"])) == (3, 2)
    assert len(groups(admin, page_size=2, page=2)) == 1
    assert admin.get(URL, {"page": 9}).status_code == 404


# -- dismissing ---------------------------------------------------------------------------------------


def test_dismissed_pairs_stay_dismissed(api, rep):
    first, second, third = (LeadFactory(email="a@x.example", owner=rep) for _ in range(3))
    found()
    body = {"ids": [first.pk, second.pk, third.pk]}
    answer = api(rep).post(f"{URL}dismiss/", body)
    assert (answer.status_code, answer.json()) == (200, {"pairs": 3})
    assert groups(api(rep)) == []
    Lead.objects.filter(pk__in=(first.pk, second.pk)).update(phone=NUMBER)
    found()
    compare_all_duplicates()
    find_duplicates()
    assert groups(api(rep)) == []
    fourth = LeadFactory(email="a@x.example", owner=rep)
    found()
    [group] = api(rep).get(URL).json()["results"]
    assert [record["id"] for record in group["records"]] == [*body["ids"], fourth.pk]
    assert not group["exact"]
    assert api(rep).post(f"{URL}dismiss/", body | {"dismissed": False}).json() == {"pairs": 3}
    found()
    assert groups(api(rep))[0][2] == 0.98


def test_what_was_said_of_a_merged_record_holds_of_the_survivor(admin):
    survivor, merged, other = (LeadFactory(email="a@x.example") for _ in range(3))
    found()
    assert admin.post(f"{URL}dismiss/", {"ids": [merged.pk, other.pk]}).status_code == 200
    body = {"survivor": survivor.pk, "merged": [merged.pk]}
    assert admin.post("/api/v1/leads/merge/", body).status_code == 200
    found()
    assert groups(admin) == []
    Lead.objects.filter(pk__in=(merged.pk, other.pk)).delete()
    found()
    assert not DuplicatePair.objects.exists()


def dismissed():
    rows = DuplicatePair.objects.exclude(dismissed_at=None).order_by("low_id", "high_id")
    return list(rows.values_list("low_id", "high_id"))


def test_a_merge_passes_on_what_was_dismissed_and_its_undoing_gives_it_back(admin):
    survivor, merged, other, kept = (LeadFactory(email="a@x.example").pk for _ in range(4))
    found()
    for pair in ([merged, other], [survivor, kept], [merged, kept]):
        assert admin.post(f"{URL}dismiss/", {"ids": pair}).status_code == 200
    before = dismissed()
    body = {"survivor": survivor, "merged": [merged]}
    merge = admin.post("/api/v1/leads/merge/", body).json()["id"]
    # At once, not in the background: the merged record's own pairs stay for the undoing.
    assert dismissed() == sorted([*before, (survivor, other)])
    found()
    assert groups(admin) == [([other, kept], ["email"], 0.9)]
    assert admin.post(f"/api/v1/merges/{merge}/undo/").status_code == 200
    assert dismissed() == before
    found()
    assert [group[0] for group in groups(admin)] == [[survivor, merged, other, kept]]
    assert DuplicatePair.objects.filter(dismissed_at=None).count() == 3


def test_what_a_later_merge_passed_on_goes_with_the_undone_one(admin):
    survivor, merged, other, last = (LeadFactory(email="a@x.example").pk for _ in range(4))
    admin.post(f"{URL}dismiss/", {"ids": [merged, other]})
    first = admin.post("/api/v1/leads/merge/", {"survivor": survivor, "merged": [merged]}).json()["id"]
    second = admin.post("/api/v1/leads/merge/", {"survivor": last, "merged": [other]}).json()["id"]
    assert (survivor, last) in dismissed()
    assert admin.post(f"/api/v1/merges/{first}/undo/").status_code == 200
    assert dismissed() == [(merged, other), (merged, last)]
    assert admin.post(f"/api/v1/merges/{second}/undo/").status_code == 200
    assert dismissed() == [(merged, other)]


def test_what_somebody_dismisses_after_a_merge_stays_when_it_is_undone(admin):
    survivor, merged, other = (LeadFactory(email="a@x.example").pk for _ in range(3))
    admin.post(f"{URL}dismiss/", {"ids": [merged, other]})
    merge = admin.post("/api/v1/leads/merge/", {"survivor": survivor, "merged": [merged]}).json()["id"]
    assert admin.post(f"{URL}dismiss/", {"ids": [survivor, other]}).status_code == 200
    assert admin.post(f"/api/v1/merges/{merge}/undo/").status_code == 200
    assert dismissed() == [(survivor, other), (merged, other)]


def test_who_dismisses(api, rep, make_user):
    own, other = LeadFactory(email="a@x.example", owner=rep), LeadFactory(email="a@x.example")
    found()
    assert api(rep).post(f"{URL}dismiss/", {"ids": [own.pk, other.pk]}).status_code == 400
    assert api(make_user("viewer")).post(f"{URL}dismiss/", {"ids": [own.pk, other.pk]}).status_code == 403
    for bad in ({}, {"ids": []}, {"ids": [own.pk]}, {"ids": [own.pk, own.pk]}, {"ids": "x"}, {"x": 1}):
        assert api(rep).post(f"{URL}dismiss/", bad).status_code == 400
    assert DuplicatePair.objects.filter(dismissed_at=None).count() == 1


def test_who_dismisses_waits_for_a_comparison_not_long(admin, monkeypatch):
    pair = [LeadFactory(email="a@x.example").pk for _ in range(2)]
    monkeypatch.setattr(grouping, "WAIT_S", 0.05)
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            held = [FINDING_DUPLICATES, crc32(b"lead") - 2**31]
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", held)
        for dismissed in (True, False):
            refused = admin.post(f"{URL}dismiss/", {"ids": pair, "dismissed": dismissed})
            assert (refused.status_code, refused.json()["type"]) == (409, "/problems/busy")
    finally:
        other.close()
    assert not DuplicatePair.objects.exclude(dismissed_at=None).exists()
    assert admin.post(f"{URL}dismiss/", {"ids": pair}).status_code == 200


# -- merging exact groups -----------------------------------------------------------------------------


def test_exact_groups_are_merged_after_a_preview(admin):
    one = [LeadFactory(email="a@x.example", city=city) for city in ("", "Rome", "")]
    two = [LeadFactory(email="b@x.example") for _ in range(2)]
    chain = [LeadFactory(email="c@x.example"), LeadFactory(email="c@x.example", phone=NUMBER)]
    chain.append(LeadFactory(phone=NUMBER))
    asked = [[lead.pk for lead in some] for some in (one, two, chain)]
    preview = admin.post(f"{URL}merge/", {"groups": asked, "dry_run": True})
    assert preview.status_code == 207
    results = preview.json()["results"]
    assert results[0] == {
        "index": 0, "survivor": asked[0][0], "merged": asked[0][1:], "status": "would_merge",
        "changes": {"city": ["", "Rome"]},
    }  # fmt: skip
    assert [result["status"] for result in results] == ["would_merge", "would_merge", "error"]
    assert results[2]["code"] == "not_exact"
    assert Lead.objects.filter(archived_at=None).count() == 8
    assert not Merge.objects.exists()
    done = admin.post(f"{URL}merge/", {"groups": asked}).json()
    assert (done["merged"], done["failed"], done["dry_run"]) == (2, 1, False)
    assert [result.get("id") for result in done["results"]] == [
        *Merge.objects.order_by("id").values_list("id", flat=True), None
    ]  # fmt: skip
    left = Lead.objects.filter(archived_at=None).order_by("id").values_list("id", "city")
    assert list(left) == [(asked[0][0], "Rome"), (asked[1][0], ""), *((pk, "") for pk in asked[2])]


def test_a_group_is_merged_by_what_is_stored_now(admin):
    pairs = [[lead.pk for lead in LeadFactory.create_batch(2, email=f"{n}@x.example")] for n in range(3)]
    found()
    Lead.objects.filter(pk=pairs[0][1]).update(email="other@x.example")
    admin.post(f"{URL}dismiss/", {"ids": pairs[1]})
    assert admin.delete(f"/api/v1/leads/{pairs[2][1]}/").status_code == 204
    answer = admin.post(f"{URL}merge/", {"groups": pairs}).json()
    assert [result["code"] for result in answer["results"]] == ["not_exact", "not_exact", "invalid"]
    assert not Merge.objects.exists()


def test_what_becomes_changeable_meanwhile_is_not_merged_uncompared(admin, monkeypatch):
    pair = [LeadFactory(email=f"{n}@x.example").pk for n in range(2)]
    locked, answers = writing.locked_many, iter([{}])
    # The first time that it is asked it has none of them.
    monkeypatch.setattr(bulk_merging.writing, "locked_many", lambda *given: next(answers, locked(*given)))
    [result] = admin.post(f"{URL}merge/", {"groups": [pair]}).json()["results"]
    assert result["code"] == "not_exact"
    assert not Merge.objects.exists()


def test_who_merges_groups(api, rep, make_user):
    own, other = LeadFactory(email="a@x.example", owner=rep), LeadFactory(email="a@x.example")
    body = {"groups": [[own.pk, other.pk]]}
    assert api(rep).post(f"{URL}merge/", body).json()["results"][0]["code"] == "invalid"
    assert api(make_user("viewer")).post(f"{URL}merge/", body).status_code == 403
    for bad in ({}, {"groups": []}, {"groups": [[own.pk]]}, {"groups": [[own.pk, own.pk]]}, {"groups": "x"}):
        assert api(rep).post(f"{URL}merge/", bad).status_code == 400
    many = [list(range(start, start + 101)) for start in range(1, 506, 101)]
    refused = api(rep).post(f"{URL}merge/", {"groups": many})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "max_length")
    assert not Merge.objects.exists()
