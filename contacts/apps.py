from django.apps import AppConfig


class ContactsConfig(AppConfig):
    name = "contacts"
    verbose_name = "Contacts and companies"

    def ready(self) -> None:
        from contacts import personal_data, registration  # noqa: F401  (models must be loaded first)
