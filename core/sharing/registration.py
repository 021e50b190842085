"""What sharing registers at start-up."""

from core.sharing import (
    operations,  # noqa: F401  (a consumer of changes)
    tasks,  # noqa: F401  (Celery tasks)
    timeline,  # noqa: F401  (a source of timelines)
)
