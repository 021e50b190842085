from django.apps import AppConfig


class LeadManagementConfig(AppConfig):
    name = "lead_management"
    verbose_name = "Leads"

    def ready(self) -> None:
        from lead_management import personal_data, registration  # noqa: F401  (models must be loaded first)
