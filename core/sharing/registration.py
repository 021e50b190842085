"""What sharing registers at start-up."""

from core.sharing import (
    operations,  # noqa: F401  (a consumer of changes)
    timeline,  # noqa: F401  (a source of timelines)
)
