from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class OpportunitiesConfig(AppConfig):
    name = "opportunities"
    verbose_name = gettext_lazy("Opportunities")

    def ready(self) -> None:
        from opportunities import personal_data, registration  # noqa: F401  (models must be loaded first)
