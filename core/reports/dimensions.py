"""What figures of reports are grouped by: what statistics are, and `source`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.entities import grouping
from core.entities.grouping import Dimension
from core.reports.reported import ReportedEntity

SOURCE = "source"


def dimensions_named(reported: ReportedEntity, names: Sequence[str], user: Any) -> list[Dimension]:
    """The dimensions of these names. Raises InvalidError, or ScopeMissingError where the key of `user` may
    not read what a name refers to."""
    grouping.check_names("group_by", names, grouping.MOST_DIMENSIONS)
    return [_dimension(reported, name, user) for name in names]


def _dimension(reported: ReportedEntity, name: str, user: Any) -> Dimension:
    column = reported.source_column if name == SOURCE else name
    return replace(grouping.dimension(reported.definition.for_user(user), column, user), name=name)
