"""Saved views as users of what their conditions name."""

from core.conditions.models import SavedView
from core.entities.usage import UsageSource, sources

sources.register(
    "saved_view",
    UsageSource(
        name="saved_view",
        rows=SavedView.objects.all,
        parts=("conditions", "ordering", "fields"),
        principal="owner",
        acts=lambda view: view.is_shared,
    ),
)
