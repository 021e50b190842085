"""What contacts and companies register with core's features, at start-up (apps.py)."""

from pathlib import Path

from django.db.models import Q

from contacts import tasks  # noqa: F401  (tasks are asked for by name)
from contacts.api.views import CompanyViewSet, ContactViewSet
from contacts.company_matching import matched_by_domain
from contacts.demo import add_contacts
from core.api import routes
from core.demo import demo_parts
from core.mail import opt_out
from core.transfer.headers import alias_files_for_people, headers_of, load

demo_parts.register("contacts", add_contacts)
headers_of.register(
    "company", load(*alias_files_for_people(), Path(__file__).with_name("company_headers.toml"))
)
headers_of.register(
    "contact", load(*alias_files_for_people(), Path(__file__).with_name("contact_headers.toml"))
)
routes.register("companies", CompanyViewSet)
routes.register("contacts", ContactViewSet)

opt_out.register("contact", more="additional_emails")
matched_by_domain.register("contact", Q())
