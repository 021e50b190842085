"""The resource that the address of an import or export names."""

from django.utils.translation import gettext as _

from core.entities import Entity
from core.entities.entity import by_plural
from core.errors import NotVisibleError


def entity_named(resource: str) -> Entity:
    """The entity behind /import/leads/. Raises NotVisibleError."""
    found = by_plural(resource)
    if found is None:
        raise NotVisibleError(_("There is no such resource."))
    return found
