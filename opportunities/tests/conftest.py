"""Deals in the default pipeline."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def pipeline(db: None) -> Any:
    """The default pipeline with the usual stages, also where tables were emptied before."""
    from opportunities.models import Pipeline, Stage
    from opportunities.stages import default_stages

    made, new = Pipeline.objects.get_or_create(is_default=True, defaults={"name": "Sales"})
    if new:
        Stage.objects.bulk_create(default_stages(made))
    return made


@pytest.fixture
def make_deal(pipeline: Any, rep: Any) -> Callable[..., Any]:
    from opportunities.models import Opportunity

    def make(**fields: Any) -> Any:
        return Opportunity.objects.create(
            **{"name": "Deal", "pipeline": pipeline, "stage": "prospecting", "owner": rep} | fields
        )

    return make
