"""Demo companies and the people who work there."""

from contacts.models import Company, Contact
from core.customization.demo import add_custom_field, add_shared_view
from core.demo import Demo, words

BATCH = 500
# People who were entered a second time, with something else about them.
TWICE = 3
BIG = {"field": "company_size", "op": "gte", "value": 500}


def add_contacts(demo: Demo) -> str:
    add_custom_field("company", "customer_since", "Customer since", "date")
    add_shared_view(demo, "company", "Big companies", BIG, "-company_size")
    companies = _companies(demo, max(10, demo.leads // 10))
    contacts = [_contact(demo, demo.pick(companies)) for _ in range(max(20, demo.leads // 4))]
    contacts += [_again(demo, contact) for contact in contacts[:TWICE]]
    demo.made["companies"] = companies
    demo.made["contacts"] = Contact.objects.bulk_create(contacts, batch_size=BATCH)
    return f"{len(companies)} companies, {len(contacts)} contacts"


def _companies(demo: Demo, count: int) -> list[Company]:
    rows = []
    for number in range(count):
        name = demo.company()
        domain = f"{name.lower().replace(' ', '-')}{number or ''}.example"
        size = int(10 ** (0.7 + 3 * demo.random.random()))
        rows.append(
            Company(
                name=name,
                domain=domain,
                website=f"https://{domain}",
                industry=demo.pick(words.INDUSTRIES),
                company_size=size,
                annual_revenue=size * demo.random.randint(60, 200) * 1_000,
                email=f"info@{domain}",
                owner=demo.seller(),
                created_at=demo.past(),
                **demo.address(),
            )
        )
    return Company.objects.bulk_create(rows, batch_size=BATCH)


def _contact(demo: Demo, company: Company) -> Contact:
    first, last = demo.person()
    return Contact(
        first_name=first,
        last_name=last,
        email=f"{first}.{last}.{demo.random.randint(1, 999)}@{company.domain}".lower(),
        phone=_another(demo, company.phone),
        job_title=demo.pick(words.JOB_TITLES),
        company=company,
        company_name=company.name,
        city=company.city,
        state=company.state,
        country=company.country,
        owner=company.owner,
        created_at=demo.past(),
    )


def _again(demo: Demo, contact: Contact) -> Contact:
    """The same person, as somebody else entered them: something to merge."""
    return Contact(
        first_name=contact.first_name[:1],
        last_name=contact.last_name,
        email=contact.email,
        mobile=_another(demo, contact.phone),
        tags=["event"],
        company_name=contact.company_name,
        owner=contact.owner,
        created_at=contact.created_at,
    )


def _another(demo: Demo, phone: str) -> str:
    """A number of the same place: were it the company's, all who work there would be possible duplicates."""
    return f"{phone[:-4]}{demo.random.randint(0, 9999):04d}"
