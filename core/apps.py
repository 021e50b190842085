"""One Django app whose tables, registrations and pages stand in its feature rooms."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy

from core.features import FEATURES, FOUNDATION_WITH_TABLES, import_room


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = gettext_lazy("System")

    def import_models(self) -> None:
        super().import_models()
        for room in (*FOUNDATION_WITH_TABLES, *FEATURES):
            import_room(room, "models")

    def ready(self) -> None:
        for room in FEATURES:
            import_room(room, "registration")
        for room in (*FOUNDATION_WITH_TABLES, *FEATURES):
            import_room(room, "personal_data")
