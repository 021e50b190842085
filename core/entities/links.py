"""Addresses that messages lead to: the pages of the admin, or those of one's own front end (`RECORD_URL`)."""

from typing import Any

from django.conf import settings

from core.conf import conf
from core.entities.entity import Entity


def record_url(entity: Entity, pk: int) -> str:
    """Where a message leads to for a record."""
    app = entity.model._meta.app_label
    return conf.RECORD_URL.format(base=base_url(), app=app, entity=entity.name, plural=entity.plural, id=pk)


def admin_url(row: Any) -> str:
    """The page of the admin about any row."""
    return f"{base_url()}/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"


def base_url() -> str:
    return settings.PUBLIC_URL.rstrip("/")
