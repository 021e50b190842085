"""Saved views as users of what their conditions name."""

from django.db.models import Exists, OuterRef, QuerySet

from core.conditions.models import SavedView
from core.entities.usage import UsageSource, sources
from core.sharing.models import Share


def _views() -> QuerySet:
    """All, with whether each is shared with some user or team."""
    shares = Share.objects.live().filter(entity=SavedView.entity_name, object_id=OuterRef("pk"))
    return SavedView.objects.annotate(is_given=Exists(shares.order_by()))


sources.register(
    "saved_view",
    UsageSource(
        name="saved_view",
        rows=_views,
        parts=("conditions", "ordering", "fields"),
        principal="owner",
        acts=lambda view: view.is_shared or view.is_given,
    ),
)
