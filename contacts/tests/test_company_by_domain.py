"""The company of leads and contacts, found by the domain of their e-mail address."""

import pytest
from django.db import connection
from django.utils import timezone

from contacts import company_matching
from contacts.models import Company, CompanyCheck, CompanySuggestion, Contact
from contacts.tasks import match_all_companies, match_companies
from contacts.tests.factories import CompanyFactory, ContactFactory
from core.changes.dispatch import dispatch
from core.changes.models import Change
from core.customization.tests.factories import FieldRightFactory
from core.entities import entities
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
PEOPLE = {"contacts": ContactFactory, "leads": LeadFactory}
each_kind = pytest.mark.parametrize("plural", ["contacts", "leads"])


@pytest.fixture
def linking(settings):
    settings.CRM = {**settings.CRM, "COMPANY_BY_DOMAIN": "link"}


def matched():
    """Everything that waits is looked at; how many people that were, and rows that stand for many."""
    dispatch()
    count = match_companies()
    dispatch()
    return count


def url(plural, person, what=""):
    return f"/api/v1/{plural}/{person.pk}/company_suggestions/{what}"


def suggested(client, plural, person):
    answer = client.get(url(plural, person))
    assert answer.status_code == 200, answer.json()
    return [found["id"] for found in answer.json()["results"]], answer.json()["hidden"]


# -- what is suggested ------------------------------------------------------------------------------


@each_kind
def test_a_company_with_the_domain_is_suggested_and_accepted(admin, admin_user, plural):
    acme = CompanyFactory(name="Acme", domain="acme.example")
    person = PEOPLE[plural](email="ada@acme.example")
    matched()
    answer = admin.get(url(plural, person))
    assert answer.json() == {
        "results": [{"id": acme.pk, "name": "Acme", "domain": "acme.example"}],
        "hidden": False,
    }
    person.refresh_from_db()
    assert person.company is None
    accepted = admin.post(url(plural, person, "accept/"), {"company": acme.pk})
    assert (accepted.status_code, accepted.json()) == (200, {"company": acme.pk})
    person.refresh_from_db()
    assert (person.company, person.company_name) == (acme, "Acme")
    change = Change.objects.filter(entity=person.entity_name, object_id=person.pk).latest("id")
    assert (change.actor_id, change.changes["company_id"]) == (admin_user.pk, [None, acme.pk])
    matched()
    assert not CompanySuggestion.objects.exists()


@pytest.mark.parametrize(
    "email", ["ada@gmail.com", "ada@web.de", "ada@team.example", "", "ada@mail.acme.example"]
)
def test_free_mail_and_other_domains_say_nothing(admin, settings, email):
    settings.CRM = {**settings.CRM, "FREE_MAIL_DOMAINS": ["team.example"]}
    for domain in ("gmail.com", "web.de", "team.example", "acme.example"):
        CompanyFactory(domain=domain)
    person = ContactFactory(email=email)
    matched()
    assert suggested(admin, "contacts", person) == ([], False)
    assert CompanySuggestion.objects.count() == 0


@pytest.mark.parametrize(
    ("email", "domain"),
    [
        ("ada@xn--mller-kva.example", "müller.example"),
        ("ada@müller.example", "xn--mller-kva.example"),
        ("ada@acme.example", "acme.example"),
    ],
)
def test_a_domain_is_one_however_it_is_written(admin, email, domain):
    person = ContactFactory(email=email)
    matched()
    company = CompanyFactory(domain=domain)
    matched()
    assert suggested(admin, "contacts", person) == ([company.pk], False)


@each_kind
def test_several_companies_with_the_domain_are_all_suggested_and_none_is_linked(admin, linking, plural):
    one, other = CompanyFactory(domain="acme.example"), CompanyFactory(domain="acme.example")
    person = PEOPLE[plural](email="ada@acme.example")
    matched()
    person.refresh_from_db()
    assert person.company is None
    assert suggested(admin, plural, person) == ([one.pk, other.pk], False)


@each_kind
def test_a_company_that_comes_later_finds_those_who_are_there(admin, plural):
    person = PEOPLE[plural](email="ada@acme.example")
    matched()
    assert suggested(admin, plural, person) == ([], False)
    made = admin.post("/api/v1/companies/", {"name": "Acme", "website": "https://www.acme.example/about"})
    matched()
    assert suggested(admin, plural, person) == ([made.json()["id"]], False)


def test_what_is_suggested_follows_the_changes_of_both_sides(admin):
    acme, zeta = CompanyFactory(domain="acme.example"), CompanyFactory(domain="zeta.example")
    person = ContactFactory(email="ada@acme.example")
    matched()
    admin.patch(f"/api/v1/contacts/{person.pk}/", {"email": "ada@zeta.example"})
    matched()
    assert suggested(admin, "contacts", person) == ([zeta.pk], False)
    admin.patch(f"/api/v1/companies/{zeta.pk}/", {"domain": "other.example"})
    matched()
    assert suggested(admin, "contacts", person) == ([], False)
    admin.patch(f"/api/v1/companies/{acme.pk}/", {"domain": "zeta.example"})
    matched()
    assert suggested(admin, "contacts", person) == ([acme.pk], False)
    admin.delete(f"/api/v1/companies/{acme.pk}/")
    matched()
    assert (suggested(admin, "contacts", person), CompanySuggestion.objects.count()) == (([], False), 0)


def test_a_converted_lead_is_left_alone(admin):
    CompanyFactory(domain="acme.example")
    LeadFactory(email="ada@acme.example", status="converted", converted_at=timezone.now())
    matched()
    assert not CompanySuggestion.objects.exists()


def test_nothing_is_done_while_it_is_off_and_all_are_looked_at_afterwards(admin, settings):
    settings.CRM = {**settings.CRM, "COMPANY_BY_DOMAIN": "off"}
    acme, person = CompanyFactory(domain="acme.example"), ContactFactory(email="ada@acme.example")
    assert (matched(), CompanyCheck.objects.count()) == (0, 0)
    settings.CRM = {**settings.CRM, "COMPANY_BY_DOMAIN": "suggest"}
    match_all_companies()
    match_companies()
    assert suggested(admin, "contacts", person) == ([acme.pk], False)


def test_many_people_are_looked_at_some_at_a_time(monkeypatch):
    monkeypatch.setattr(company_matching, "CHUNK", 2)
    people = [ContactFactory(email=f"p{n}@acme.example") for n in range(5)]
    matched()
    CompanyFactory(domain="acme.example")
    matched()
    assert set(CompanySuggestion.objects.values_list("object_id", flat=True)) == {p.pk for p in people}
    CompanySuggestion.objects.all().delete()
    match_all_companies()
    match_companies()
    assert (CompanySuggestion.objects.count(), CompanyCheck.objects.count()) == (5, 0)


def test_people_cost_no_statements_of_their_own(django_assert_num_queries):
    CompanyFactory(domain="acme.example")
    ContactFactory.create_batch(30, email="ada@acme.example")
    dispatch()
    CompanyCheck.objects.filter(record_id=0).delete()
    with django_assert_num_queries(12):
        assert company_matching.match_once(entities["contact"]) == 30
    assert CompanySuggestion.objects.count() == 30


# -- who sees it ------------------------------------------------------------------------------------


def test_a_hidden_company_is_not_named(api, rep, admin, make_user):
    CompanyFactory(domain="acme.example", owner=make_user("rep"))
    person = ContactFactory(email="ada@acme.example", owner=rep)
    matched()
    assert suggested(api(rep), "contacts", person) == ([], True)
    assert len(suggested(admin, "contacts", person)[0]) == 1
    refused = api(rep).post(url("contacts", person, "accept/"), {"company": Company.objects.get().pk})
    assert refused.json()["errors"][0] | {"message": ""} == {
        "field": "company", "code": "does_not_exist", "message": "",
    }  # fmt: skip
    listed = api(rep).get("/api/v1/contacts/", {"has_company_suggestion": "true"}).json()
    assert listed["results"] == []
    person.refresh_from_db()
    assert person.company is None


@each_kind
def test_lists_are_filtered_by_whether_a_company_is_suggested(admin, plural):
    CompanyFactory(domain="acme.example")
    one, other = PEOPLE[plural](email="ada@acme.example"), PEOPLE[plural](email="bob@x.example")
    matched()
    for wanted, person in (("true", one), ("false", other)):
        answer = admin.get(f"/api/v1/{plural}/", {"has_company_suggestion": wanted}).json()
        assert [row["id"] for row in answer["results"]] == [person.pk]


# -- dismissing -------------------------------------------------------------------------------------


@each_kind
def test_a_dismissed_company_is_not_suggested_again_until_that_is_taken_back(admin, linking, plural):
    acme, twin = CompanyFactory(domain="acme.example"), CompanyFactory(domain="acme.example")
    person = PEOPLE[plural](email="ada@acme.example")
    matched()
    assert admin.post(url(plural, person, "dismiss/"), {"company": acme.pk}).status_code == 200
    twin.delete()
    match_all_companies()
    matched()
    person.refresh_from_db()
    assert (person.company, suggested(admin, plural, person)) == (None, ([], False))
    back = {"company": acme.pk, "dismissed": False}
    assert admin.post(url(plural, person, "dismiss/"), back).status_code == 200
    assert suggested(admin, plural, person) == ([acme.pk], False)
    assert admin.post(url(plural, person, "dismiss/"), back).status_code == 400


@pytest.mark.parametrize("verb", ["accept/", "dismiss/"])
def test_only_what_is_suggested_is_accepted_or_dismissed(admin, api, make_user, verb):
    other, person = CompanyFactory(domain="x.example"), ContactFactory(email="ada@acme.example")
    for body in ({"company": other.pk}, {"company": 0}, {}, {"company": other.pk, "more": 1}):
        answer = admin.post(url("contacts", person, verb), body)
        assert (answer.status_code, len(answer.json()["errors"])) == (400, 1), body
    body = {"company": other.pk}
    assert api(make_user("viewer")).post(url("contacts", person, verb), body).status_code == 403
    assert not CompanySuggestion.objects.exists()


# -- linking ----------------------------------------------------------------------------------------


@each_kind
def test_the_only_company_is_linked_where_the_setting_says_so(admin, rep, linking, plural):
    acme = CompanyFactory(name="Acme", domain="acme.example", owner=rep)
    person = PEOPLE[plural](email="ada@acme.example", company_name="", owner=rep)
    named = PEOPLE[plural](email="bob@acme.example", company_name="ACME Ltd", owner=rep)
    matched()
    for one, name in ((person, "Acme"), (named, "ACME Ltd")):
        one.refresh_from_db()
        assert (one.company, one.company_name) == (acme, name)
    [entry] = [
        e
        for e in admin.get(f"/api/v1/{plural}/{person.pk}/history/").json()["results"]
        if e["kind"] == "updated"
    ]
    assert (entry["source"], entry["changes"]["company"]) == ("system", {"old": None, "new": acme.pk})
    timeline = admin.get(f"/api/v1/{plural}/{person.pk}/timeline/").json()["results"]
    changes = next(row["data"]["changes"] for row in timeline if row["kind"] == "change")
    assert "company" in changes
    assert not CompanySuggestion.objects.exists()


def test_a_company_that_somebody_took_away_is_not_linked_again(admin, rep, linking):
    acme = CompanyFactory(domain="acme.example", owner=rep)
    person = ContactFactory(email="ada@acme.example", owner=rep)
    matched()
    admin.patch(f"/api/v1/contacts/{person.pk}/", {"company": None})
    match_all_companies()
    matched()
    person.refresh_from_db()
    assert person.company is None
    assert list(CompanySuggestion.objects.exclude(dismissed_at=None).values_list("company")) == [(acme.pk,)]


def test_a_company_that_somebody_set_stays(rep, linking):
    other = CompanyFactory(domain="other.example", owner=rep)
    CompanyFactory(domain="acme.example", owner=rep)
    person = ContactFactory(email="ada@acme.example", owner=rep, company=other)
    matched()
    person.refresh_from_db()
    assert person.company == other


@pytest.mark.parametrize("owned", [True, False])
def test_nobody_is_linked_to_a_company_that_their_owner_does_not_see(api, rep, make_user, linking, owned):
    CompanyFactory(domain="acme.example", owner=make_user("rep"))
    person = ContactFactory(email="ada@acme.example", owner=rep if owned else None)
    matched()
    person.refresh_from_db()
    assert person.company is None
    assert CompanySuggestion.objects.count() == 1
    if owned:
        assert suggested(api(rep), "contacts", person) == ([], True)


# -- with other things ------------------------------------------------------------------------------


def test_a_conversion_takes_the_company_of_the_lead(admin):
    other = CompanyFactory(name="Other", domain="other.example")
    lead = LeadFactory(email="ada@acme.example", company=other, last_name="B")
    done = admin.post(f"/api/v1/leads/{lead.pk}/convert/", {}).json()
    assert (done["company_id"], done["created"]["company"]) == (other.pk, False)
    assert Contact.objects.get(pk=done["contact_id"]).company == other
    assert Company.objects.count() == 1


def test_what_was_dismissed_goes_with_a_merge_and_back(admin):
    acme = CompanyFactory(domain="acme.example")
    one, other = (ContactFactory(email=f"{name}@acme.example") for name in ("ada", "bob"))
    matched()
    admin.post(url("contacts", other, "dismiss/"), {"company": acme.pk})
    CompanySuggestion.objects.filter(object_id=one.pk).delete()
    merged = admin.post("/api/v1/contacts/merge/", {"survivor": one.pk, "merged": [other.pk]})
    assert merged.status_code == 200, merged.json()
    assert CompanySuggestion.objects.exclude(dismissed_at=None).get().object_id == one.pk
    assert admin.post(f"/api/v1/merges/{merged.json()['id']}/undo/").status_code == 200
    assert CompanySuggestion.objects.exclude(dismissed_at=None).get().object_id == other.pk


def test_a_merge_of_companies_keeps_what_both_kinds_of_people_dismissed(admin):
    acme, twin = CompanyFactory(domain="acme.example"), CompanyFactory(domain="acme.example")
    now = timezone.now()
    rows = [
        CompanySuggestion(entity="lead", object_id=7, company=acme, dismissed_at=now),
        CompanySuggestion(entity="contact", object_id=7, company=twin, dismissed_at=now),
    ]
    CompanySuggestion.objects.bulk_create(rows)
    assert admin.post(
        "/api/v1/companies/merge/", {"survivor": acme.pk, "merged": [twin.pk]}
    ).status_code == 200  # fmt: skip
    assert set(CompanySuggestion.objects.values_list("entity", "company")) == {
        ("lead", acme.pk), ("contact", acme.pk),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["contact", "lead"])
def test_neither_side_is_read_whole(name):
    table = entities[name].model._meta.db_table
    params = {"entity": name, "domains": ["a.example"], "after": 0, "limit": 9, "company": 1}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {company_matching._OF_DOMAIN.format(table=table)}", params)
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute(f"EXPLAIN {company_matching._COMPANIES}", [["a.example", "b.example"], 20])
        companies = "\n".join(row[0] for row in cursor.fetchall())
    assert f"{name}_mail_domain" in plan, plan
    assert "company_domain" in companies, companies


# -- the admin site ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "plural", "model"), [("contacts", "contacts", Contact), ("lead_management", "leads", Lead)]
)
@pytest.mark.parametrize("answer", ["company", "none"])
def test_the_page_of_a_record_offers_the_company(client, make_user, app, plural, model, answer):
    acme = CompanyFactory(name="Acme", domain="acme.example")
    person = PEOPLE[plural](email="ada@acme.example")
    matched()
    client.force_login(make_user("admin", is_staff=True))
    page = f"/admin/{app}/{person.entity_name}/{person.pk}"
    assert f"{page}/company/?company={acme.pk}" in client.get(f"{page}/change/").content.decode()
    assert "Acme (acme.example)" in client.get(f"{page}/company/").content.decode()
    chosen = acme.pk if answer == "company" else "none"
    sent = client.post(f"{page}/company/", {"company": chosen, "verb_sent": "1"})
    assert sent.status_code == 302
    assert model.objects.get(pk=person.pk).company == (acme if answer == "company" else None)
    dismissed = CompanySuggestion.objects.exclude(dismissed_at=None).count()
    assert dismissed == (0 if answer == "company" else 1)
    assert "Suggested company" not in client.get(f"{page}/change/").content.decode()


# -- rights on fields -------------------------------------------------------------------------------


@each_kind
def test_who_does_not_see_the_address_is_suggested_nothing(admin, api, rep, plural):
    acme = CompanyFactory(domain="acme.example", owner=rep)
    person = PEOPLE[plural](email="ada@acme.example", owner=rep)
    matched()
    assert suggested(api(rep), plural, person) == ([acme.pk], False)
    right = FieldRightFactory(entity=person.entity_name, field="email")
    limited = api(type(rep).objects.get(pk=rep.pk))
    assert suggested(limited, plural, person) == ([], False)
    for what in ("accept/", "dismiss/"):
        assert limited.post(url(plural, person, what), {"company": acme.pk}).status_code == 400
    answer = limited.get(f"/api/v1/{plural}/", {"has_company_suggestion": "true"})
    assert answer.status_code == 400, answer.json()
    person.refresh_from_db()
    assert (person.company, CompanySuggestion.objects.get().dismissed_at) == (None, None)
    admin.post(url(plural, person, "dismiss/"), {"company": acme.pk})
    back = {"company": acme.pk, "dismissed": False}
    assert limited.post(url(plural, person, "dismiss/"), back).status_code == 400
    right.delete()
    unlimited = api(type(rep).objects.get(pk=rep.pk))
    assert unlimited.post(url(plural, person, "dismiss/"), back).status_code == 200


def test_a_hidden_domain_is_not_shown_by_suggestions(api, make_user, client):
    rep = make_user("rep", is_staff=True)
    acme = CompanyFactory(name="Acme", domain="acme.example", owner=rep)
    CompanyFactory(domain="acme.example")
    person = ContactFactory(first_name="Ada", email="ada@acme.example", owner=rep)
    matched()
    assert api(rep).get(url("contacts", person)).json() == {
        "results": [{"id": acme.pk, "name": "Acme", "domain": "acme.example"}],
        "hidden": True,
    }
    FieldRightFactory(entity="company", field="domain")
    limited = api(type(rep).objects.get(pk=rep.pk))
    assert limited.get(url("contacts", person)).json() == {
        "results": [{"id": acme.pk, "name": "Acme"}],
        "hidden": False,
    }
    client.force_login(rep)
    page = client.get(f"/admin/contacts/contact/{person.pk}/company/").content.decode()
    assert "Acme" in page
    assert "(acme.example)" not in page
