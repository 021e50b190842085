from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class ContactsConfig(AppConfig):
    name = "contacts"
    verbose_name = gettext_lazy("Contacts and companies")

    def ready(self) -> None:
        from contacts import personal_data, registration  # noqa: F401  (models must be loaded first)
