"""The admin site: unfold's, with the list of all applications made only where a page shows it."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from unfold.sites import UnfoldAdminSite


class CrmAdminSite(UnfoldAdminSite):
    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """Every page is given it, though the side bar has its own order: making it asks each model's page for
        its rights and addresses."""
        make = super().get_app_list
        return SimpleLazyObject(lambda: make(request, app_label))
