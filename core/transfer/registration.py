"""What imports and exports registers at start-up."""

from core import standalone_runner
from core.api import routes
from core.transfer import (
    export_jobs,
    tasks,  # noqa: F401  (tasks are asked for by name)
    usage,  # noqa: F401  (a source of references)
)
from core.transfer import running as importing
from core.transfer.api.exports import ExportJobViewSet
from core.transfer.api.import_jobs import ImportJobViewSet
from core.transfer.api.saved_mappings import SavedMappingViewSet
from core.transfer.api.urls import urlpatterns

routes.register("imports", ImportJobViewSet)
routes.register("exports", ExportJobViewSet)
routes.register("import_mappings", SavedMappingViewSet)
routes.include_urls("v1/", urlpatterns)

standalone_runner.background_jobs.register("imports", importing.run_pending)
standalone_runner.background_jobs.register("exports", export_jobs.run_pending)
