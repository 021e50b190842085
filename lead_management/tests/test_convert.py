"""Converting: once, into what is there already or into something new, with all that hangs on a lead."""

from datetime import UTC, datetime

import pytest

from contacts.models import Company, Contact
from contacts.tests.factories import CompanyFactory, ContactFactory
from core.activities.models import Follow
from core.activities.tests.factories import FollowFactory
from core.changes.models import Change
from core.customization.tests.factories import CustomFieldFactory
from lead_management.models import Lead
from lead_management.tests.factories import LeadFactory
from opportunities.models import Opportunity
from opportunities.tests.factories import PipelineFactory, default_pipeline
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

ADA = {
    "first_name": "Ada",
    "last_name": "Byron",
    "email": "ada@engines.example",
    "phone": "+14155550123",
    "mobile": "+14155550124",
    "company_name": "Analytical Engines",
    "company_size": 40,
    "industry": "Machinery",
    "job_title": "Analyst",
    "city": "London",
    "country": "United Kingdom",
    "lead_source": "referral",
    "estimated_value": "2500.00",
    "currency": "GBP",
    "tags": ["vip"],
    "notes": "Met at the fair",
}


@pytest.fixture
def lead(rep):
    return LeadFactory(owner=rep, **ADA)


def convert(client, lead, body=None):
    return client.post(f"/api/v1/leads/{lead.pk}/convert/", body or {})


def test_a_lead_becomes_a_contact_a_company_and_an_opportunity(api, rep, lead):
    response = convert(api(rep), lead)
    assert response.status_code == 200
    contact, company, deal = Contact.objects.get(), Company.objects.get(), Opportunity.objects.get()
    assert response.json() == {
        "success": True,
        "lead_id": lead.pk,
        "contact_id": contact.pk,
        "company_id": company.pk,
        "opportunity_id": deal.pk,
        "created": {"company": True, "contact": True, "opportunity": True},
        "moved": response.json()["moved"],
    }
    taken = ("first_name", "last_name", "email", "phone", "mobile", "job_title", "city", "tags", "notes")
    assert {name: getattr(contact, name) for name in taken} == {name: ADA[name] for name in taken}
    assert (contact.company, contact.company_name) == (company, "Analytical Engines")
    assert (company.name, company.domain, company.company_size) == (
        "Analytical Engines",
        "engines.example",
        40,
    )
    assert (company.industry, company.country) == ("Machinery", "United Kingdom")
    assert (str(deal.amount), deal.currency, deal.stage) == ("2500.00", "GBP", "prospecting")
    assert (deal.company, deal.contact, deal.lead_source) == (company, contact, "referral")
    assert {contact.owner, company.owner, deal.owner} == {rep}


def test_the_lead_says_what_it_became_and_its_trail_says_who_did_it(api, rep, lead):
    convert(api(rep), lead)
    shown = api(rep).get(f"/api/v1/leads/{lead.pk}/").json()
    assert shown["status"] == "converted"
    assert shown["converted_at"]
    assert shown["converted_contact"] == Contact.objects.get().pk
    assert shown["converted_company"] == Company.objects.get().pk
    assert shown["converted_opportunity"] == Opportunity.objects.get().pk
    change = Change.objects.get(entity="lead", kind="updated")
    assert change.changes["status"] == ["new", "converted"]
    assert (change.actor_id, change.source) == (rep.pk, "api")


def test_a_second_conversion_is_a_conflict_and_makes_nothing(api, rep, lead):
    convert(api(rep), lead)
    response = convert(api(rep), lead)
    assert response.status_code == 409
    assert response.json()["type"] == "/problems/already-converted"
    assert (Contact.objects.count(), Opportunity.objects.count()) == (1, 1)


def test_a_converted_lead_does_not_become_new_again(api, rep, lead):
    convert(api(rep), lead)
    response = api(rep).patch(f"/api/v1/leads/{lead.pk}/", {"status": "new"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "status"
    assert api(rep).patch(f"/api/v1/leads/{lead.pk}/", {"notes": "Sent flowers"}).status_code == 200


def test_status_converted_is_set_by_converting_only(api, rep, lead):
    response = api(rep).patch(f"/api/v1/leads/{lead.pk}/", {"status": "converted"})
    assert response.status_code == 400
    assert not Contact.objects.exists()


@pytest.mark.parametrize(
    "known_by", [{"email": "ada@engines.example"}, {"additional_emails": ["ada@engines.example"]}]
)
def test_a_contact_of_this_address_is_found(api, rep, lead, known_by):
    known = ContactFactory(first_name="A.", owner=rep, **known_by)
    body = convert(api(rep), lead).json()
    assert body["contact_id"] == known.pk
    assert body["created"]["contact"] is False
    known.refresh_from_db()
    assert known.first_name == "A."


@pytest.mark.parametrize(
    ("company", "found"),
    [
        ({"name": "Other name", "domain": "engines.example"}, True),
        ({"name": "ANALYTICAL engines"}, True),
        ({"name": "Analytical Engines", "domain": "elsewhere.example"}, False),
        ({"name": "Someone"}, False),
    ],
)
def test_a_company_is_found_by_its_domain_or_a_name_without_one(api, rep, lead, company, found):
    known = CompanyFactory(owner=rep, **company)
    body = convert(api(rep), lead).json()
    assert (body["company_id"] == known.pk) is found
    assert body["created"]["company"] is not found


def test_free_mail_names_no_company(api, rep):
    lead = LeadFactory(first_name="Joe", email="joe@gmail.com", owner=rep)
    body = convert(api(rep), lead).json()
    assert body["company_id"] is None
    assert Contact.objects.get().company is None
    assert Opportunity.objects.get().name == "Joe opportunity"


def test_the_website_says_more_than_the_address(api, rep):
    lead = LeadFactory(
        first_name="Joe", email="joe@gmail.com", website="https://www.shop.example/about", owner=rep
    )
    convert(api(rep), lead)
    assert Company.objects.get().domain == "shop.example"


def test_a_known_contacts_company_is_the_deals(api, rep):
    company = CompanyFactory(name="Shop", owner=rep)
    ContactFactory(first_name="Joe", email="joe@gmail.com", company=company, owner=rep)
    lead = LeadFactory(first_name="Joe", email="joe@gmail.com", owner=rep)
    assert convert(api(rep), lead).json()["company_id"] == company.pk
    assert Opportunity.objects.get().company == company


@pytest.mark.parametrize("hidden", ["owned by another", "archived"])
def test_what_the_converter_does_not_see_is_not_found(api, rep, make_user, lead, hidden):
    from django.utils import timezone

    where = (
        {"owner": make_user("rep")}
        if hidden == "owned by another"
        else {"owner": rep, "archived_at": timezone.now()}
    )
    secret = ContactFactory(first_name="Secret", email="ada@engines.example", **where)
    firm = CompanyFactory(name="Secret", domain="engines.example", **where)
    body = convert(api(rep), lead).json()
    assert body["contact_id"] != secret.pk
    assert body["company_id"] != firm.pk


def test_records_may_be_named(api, rep, lead):
    contact = ContactFactory(first_name="Named", owner=rep)
    company = CompanyFactory(name="Named", owner=rep)
    body = convert(api(rep), lead, {"contact": contact.pk, "company": company.pk}).json()
    assert (body["contact_id"], body["company_id"]) == (contact.pk, company.pk)
    assert body["created"] == {"contact": False, "company": False, "opportunity": True}


def test_naming_a_hidden_record_is_refused_and_undoes_everything(api, rep, make_user, lead):
    hidden = ContactFactory(first_name="Hidden", owner=make_user("rep"))
    response = convert(api(rep), lead, {"contact": hidden.pk})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "contact"
    lead.refresh_from_db()
    assert lead.status == "new"
    assert not Company.objects.exists()


def test_the_opportunity_is_optional(api, rep, lead):
    body = convert(api(rep), lead, {"create_opportunity": False}).json()
    assert body["opportunity_id"] is None
    assert body["created"] == {"company": True, "contact": True}
    assert not Opportunity.objects.exists()


def test_the_opportunity_is_made_as_wished(api, rep, lead):
    other = PipelineFactory(name="Renewals")
    other.stages.create(key="offer", name="Offer", probability=40)
    options = {
        "pipeline": other.pk,
        "stage": "offer",
        "opportunity_name": "Big deal",
        "amount": "99.50",
        "expected_close_date": "2030-05-31",
    }
    convert(api(rep), lead, options)
    deal = Opportunity.objects.get()
    assert (deal.pipeline, deal.stage, deal.name, deal.probability) == (other, "offer", "Big deal", 40)
    assert (str(deal.amount), str(deal.expected_close_date)) == ("99.50", "2030-05-31")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"stage": "nowhere"}, "stage"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"contact": "abc"}, "contact"),
        ({"contact": 99999999999999999999}, "contact"),
        ({"surprise": 1}, "surprise"),
        ({"opportunity_name": "a\x00"}, "opportunity_name"),
        ({"expected_close_date": "soon"}, "expected_close_date"),
        ([], ""),
        ({"create_opportunity": "perhaps"}, "create_opportunity"),
    ],
)
def test_bad_options_are_refused_and_make_nothing(api, rep, lead, body, field):
    response = (
        convert(api(rep), lead, body) if body else api(rep).post(f"/api/v1/leads/{lead.pk}/convert/", [1])
    )
    assert response.status_code == 400
    assert field in [e["field"] for e in response.json()["errors"]]
    lead.refresh_from_db()
    assert lead.status == "new"
    assert not Contact.objects.exists()


def test_tasks_and_followers_go_along(api, rep, lead):
    task = TaskFactory(title="Call", lead=lead, owner=rep)
    FollowFactory(user=rep, record=lead)
    moved = convert(api(rep), lead).json()["moved"]
    assert (moved["tasks"], moved["followers"]) == (1, 1)
    task.refresh_from_db()
    assert (task.lead_id, task.opportunity) == (None, Opportunity.objects.get())
    assert Follow.objects.filter(entity="opportunity", object_id=task.opportunity_id, user=rep).exists()


def test_without_an_opportunity_they_go_to_the_contact(api, rep, lead):
    task = TaskFactory(title="Call", lead=lead, owner=rep)
    convert(api(rep), lead, {"create_opportunity": False})
    task.refresh_from_db()
    assert task.contact == Contact.objects.get()


def test_every_field_that_both_have_goes_along_but_those_left_out_by_name(api, rep, lead):
    moment = datetime(2026, 11, 27, 9, tzinfo=UTC)
    given = {
        "last_contacted_at": moment, "notes": "Met in Turin", "currency": "EUR", "industry": "Steel",
        "city": "Turin", "tags": ["vip"], "external_id": "L-1", "do_not_contact": True,
    }  # fmt: skip
    Lead.objects.filter(pk=lead.pk).update(**given)
    assert convert(api(rep), lead).status_code == 200
    contact, company, deal = Contact.objects.get(), Company.objects.get(), Opportunity.objects.get()
    assert (contact.last_contacted_at, contact.notes, contact.city) == (moment, "Met in Turin", "Turin")
    assert (contact.tags, contact.do_not_contact, contact.external_id) == (["vip"], True, "")
    assert (company.currency, company.industry, company.city) == ("EUR", "Steel", "Turin")
    assert (company.email, company.phone, company.notes, company.external_id) == ("", "", "", "")
    assert (deal.currency, deal.notes, deal.last_contacted_at) == ("EUR", "Met in Turin", moment)
    assert (deal.status, deal.lost_reason, deal.external_id) == ("open", "", "")


def test_custom_fields_both_define_go_along(api, rep, lead):
    for entity in ("lead", "contact"):
        CustomFieldFactory(entity=entity, key="plan", type="text")
    CustomFieldFactory(entity="lead", key="only", type="text")
    Lead.objects.filter(pk=lead.pk).update(custom_fields={"plan": "big", "only": "here"})
    convert(api(rep), lead)
    assert Contact.objects.get().custom_fields == {"plan": "big"}


def test_a_lead_of_somebody_who_left_can_be_converted(admin, admin_user, rep, lead):
    rep.is_active = False
    rep.save(update_fields=["is_active"])
    Lead.objects.filter(pk=lead.pk).update(assigned_to=rep)
    assert convert(admin, lead).status_code == 200
    made = Contact.objects.get()
    assert (made.owner, made.assigned_to) == (admin_user, None)


def test_others_do_not_convert_it(api, make_user, lead):
    assert convert(api(make_user("rep")), lead).status_code == 404
    assert convert(api(make_user("viewer")), lead).status_code == 403
    assert convert(api(), lead).status_code == 401
    lead.refresh_from_db()
    assert lead.status == "new"
    assert not Contact.objects.exists()


def test_a_stale_version_is_refused(api, rep, lead):
    url = f"/api/v1/leads/{lead.pk}/convert/"
    assert api(rep).post(url, {}, headers={"If-Match": f'"{lead.pk}-7"'}).status_code == 412
    assert api(rep).post(url, {}, headers={"If-Match": f'"{lead.pk}-1"'}).status_code == 200


# -- at the same time ---------------------------------------------------------------------------


@pytest.fixture
def pipeline(transactional_db):
    """What the migration made, which the emptying of tables between transactional tests took away."""
    return default_pipeline()


@pytest.mark.django_db(transaction=True)
def test_of_eight_conversions_at_once_one_wins(pipeline, at_once, api, admin_user):
    lead = LeadFactory(owner=admin_user, **ADA)
    statuses = at_once(*[lambda: convert(api(admin_user), lead).status_code] * 8)
    assert sorted(statuses) == [200] + [409] * 7
    assert (Contact.objects.count(), Company.objects.count(), Opportunity.objects.count()) == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_two_leads_of_one_person_become_one_contact_and_one_company(pipeline, at_once, api, admin_user):
    leads = [LeadFactory(owner=admin_user, **ADA) for _ in range(6)]
    found = at_once(*[lambda one=one: convert(api(admin_user), one).json() for one in leads])
    assert len({body["contact_id"] for body in found}) == 1
    assert len({body["company_id"] for body in found}) == 1
    assert sorted(body["created"]["contact"] for body in found) == [False] * 5 + [True]
    assert Opportunity.objects.count() == 6


@pytest.mark.django_db(transaction=True)
def test_a_company_named_with_and_without_its_domain_is_made_once(pipeline, at_once, api, admin_user):
    bare = ADA | {"email": "", "phone": "", "mobile": ""}
    leads = [LeadFactory(owner=admin_user, **body) for body in [ADA, bare] * 3]
    at_once(*[lambda one=one: convert(api(admin_user), one) for one in leads])
    assert Company.objects.count() == 1


# ---- Required custom fields ----


@pytest.fixture
def required(db):
    """A field that every contact needs, and one that every opportunity needs and leads bring along."""
    CustomFieldFactory(entity="contact", key="region", type="text", required=True)
    for entity in ("lead", "opportunity"):
        CustomFieldFactory(entity=entity, key="size", type="number", required=True)
    return LeadFactory(first_name="Ada", last_name="", custom_fields={"size": 5})


def test_required_custom_fields_are_named_and_can_be_given(admin, required):
    address = f"/api/v1/leads/{required.pk}/convert/"
    answer = admin.post(address, {}, format="json")
    assert answer.status_code == 400
    assert [i["field"] for i in answer.json()["errors"]] == ["custom_fields.contact.region"]
    assert not Contact.objects.exists()
    for given in ({"nothing": 1}, {"contact": {"size": 1}}, "text"):
        assert admin.post(address, {"custom_fields": given}, format="json").status_code == 400
    given = {"region": "EMEA", "opportunity": {"size": 7}}
    assert admin.post(address, {"custom_fields": given}, format="json").status_code == 200
    assert Contact.objects.get().custom_fields == {"region": "EMEA"}
    assert Opportunity.objects.get().custom_fields == {"size": 7}


def test_automation_is_refused_without_what_a_conversion_needs(admin, required):
    def saved(**params):
        body = {
            "name": "Convert", "trigger_type": "record_created", "trigger_conditions": {"model": "lead"},
            "actions": [{"type": "convert_lead", "params": params}],
        }  # fmt: skip
        return admin.post("/api/v1/workflows/", body, format="json")

    answer = saved()
    assert answer.status_code == 400
    found = {issue["field"] for issue in answer.json()["errors"]}
    assert found == {"actions[0].params.custom_fields.contact.region"}
    assert saved(custom_fields={"contact": {"region": "{{ lead.city }}"}}).status_code == 201
    assert saved(custom_fields={"regoin": "x"}).status_code == 400


def test_an_amount_has_the_places_of_the_leads_currency(api, rep):
    lead = LeadFactory(first_name="Ada", owner=rep, currency="KWD")
    url = f"/api/v1/leads/{lead.pk}/convert/"
    refused = api(rep).post(url, {"amount": "1.2345"})
    assert refused.status_code == 400
    assert [e["field"] for e in refused.json()["errors"]] == ["amount"]
    made = api(rep).post(url, {"amount": "1.234"}).json()
    deal = api(rep).get(f"/api/v1/opportunities/{made['opportunity_id']}/").json()
    assert (deal["amount"], deal["currency"]) == ("1.234", "KWD")


@pytest.mark.parametrize("by_id", [False, True])
def test_an_opt_out_is_kept_by_a_contact_that_was_there_already(admin, lead, by_id):
    Lead.objects.filter(pk=lead.pk).update(do_not_contact=True)
    contact = ContactFactory(first_name="Ada", email=lead.email)
    body = {"contact": contact.pk} if by_id else {}
    answer = admin.post(f"/api/v1/leads/{lead.pk}/convert/", body)
    assert (answer.status_code, answer.json()["contact_id"]) == (200, contact.pk), answer.json()
    contact.refresh_from_db()
    assert contact.do_not_contact is True
