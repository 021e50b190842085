"""Deals in the default pipeline."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def pipeline(db: None) -> Any:
    """The default pipeline with the usual stages, also where tables were emptied before."""
    from opportunities.tests.factories import default_pipeline

    return default_pipeline()


@pytest.fixture
def make_deal(pipeline: Any, rep: Any) -> Callable[..., Any]:
    from opportunities.tests.factories import OpportunityFactory

    def make(**fields: Any) -> Any:
        return OpportunityFactory(**{"pipeline": pipeline, "stage": "prospecting", "owner": rep} | fields)

    return make
