from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class TasksConfig(AppConfig):
    name = "tasks"
    verbose_name = gettext_lazy("Tasks")

    def ready(self) -> None:
        from tasks import personal_data, registration  # noqa: F401  (models must be loaded first)
