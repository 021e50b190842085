from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class LeadManagementConfig(AppConfig):
    name = "lead_management"
    verbose_name = gettext_lazy("Leads")

    def ready(self) -> None:
        from lead_management import personal_data, registration  # noqa: F401  (models must be loaded first)
