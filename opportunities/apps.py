from django.apps import AppConfig


class OpportunitiesConfig(AppConfig):
    name = "opportunities"
    verbose_name = "Opportunities"

    def ready(self) -> None:
        from opportunities import personal_data, registration  # noqa: F401  (models must be loaded first)
