"""What customization registers at start-up."""

from core.api import routes
from core.customization import (
    tasks,  # noqa: F401  (Celery tasks)
    usage,  # noqa: F401  (a source of references)
)
from core.customization.api.custom_fields import CustomFieldViewSet
from core.customization.api.field_rights import FieldRightViewSet
from core.customization.api.saved_views import SavedViewViewSet
from core.customization.api.tags import TagViewSet

routes.register("custom_fields", CustomFieldViewSet)
routes.register("field_rights", FieldRightViewSet)
routes.register("saved_views", SavedViewViewSet)
routes.register("tags", TagViewSet)
