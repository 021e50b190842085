from django.apps import AppConfig
from django.utils.translation import gettext_lazy

from backend.local_apps import LOCAL_APPS


class BackendConfig(AppConfig):
    name = "backend"
    default = True
    verbose_name = gettext_lazy("CRM")

    def ready(self) -> None:
        from django.apps import apps

        from core.labels import translate_models

        for name in LOCAL_APPS:
            translate_models(apps.get_app_config(name).get_models(include_auto_created=True))
        from backend import checks  # noqa: F401  registers the checks, which need the applications loaded


class AdminSiteConfig(AppConfig):
    """unfold with our own site in the place of its own."""

    name = "unfold"

    def ready(self) -> None:
        from django.contrib import admin
        from django.contrib.admin import sites

        from backend.admin_site import CrmAdminSite

        admin.site = sites.site = CrmAdminSite()
