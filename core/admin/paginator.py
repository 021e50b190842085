"""Pages of long lists: counted up to the limit that the API counts to, and no further."""

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator

from core.conf import conf


class CappedPaginator(Paginator):
    """Counts up to COUNT_LIMIT; of a longer list it offers the pages up to there, and the rest by filters."""

    @cached_property
    def count(self) -> int:
        return min(self._counted, conf.COUNT_LIMIT)

    @property
    def is_capped(self) -> bool:
        return self._counted > conf.COUNT_LIMIT

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        return rows.order_by()[: conf.COUNT_LIMIT + 1].count()
