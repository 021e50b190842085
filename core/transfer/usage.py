"""Saved mappings as users of the fields and people that they name."""

from core.entities.usage import UsageSource, sources
from core.transfer.models import SavedMapping

sources.register(
    "import_mapping", UsageSource(name="import_mapping", rows=SavedMapping.objects.all, parts=("settings",))
)
