"""Ordered target encoding: no lead sees its own outcome, and the tables are the booster."""

import numpy as np
import pytest

from core.lead_scoring.inputs import encode_all, learn_inputs
from core.lead_scoring.target_encoding import (
    Encoding,
    encoded_booster,
    encoded_columns,
    fit_encoded_tables,
    ordered_rates,
    paired_codes,
)
from core.lead_scoring.tests.worlds import leads


def test_each_lead_is_given_the_rate_of_those_before_it_in_its_cell():
    cells, won = np.array([0, 1, 0, 0, 1]), np.array([1.0, 0, 0, 1, 1])
    found = ordered_rates(cells, won, np.ones(5), np.arange(5), average=0.5, smoothing=2.0)
    assert found.tolist() == [1 / 2, 1 / 2, 2 / 3, 2 / 4, 1 / 3]


def test_looks_at_one_lead_do_not_see_its_outcome_at_another_look():
    cells, won, weights = np.zeros(4, dtype=int), np.array([1.0, 1, 0, 0]), np.full(4, 0.5)
    found = ordered_rates(cells, won, weights, np.array([0, 0, 1, 1]), average=0.5, smoothing=1.0)
    assert found.tolist() == [0.5, 0.5, 0.75, 0.75]


@pytest.mark.parametrize("settings", [Encoding(trees=30), Encoding(trees=30, paired=True)])
def test_the_tables_are_the_booster_over_the_rates_of_all_leads(settings):
    frame, won = leads(800, 3)
    inputs, _ = learn_inputs(frame)
    codes, weights, groups = encode_all(inputs, frame), np.ones(800), np.arange(800)
    tables = fit_encoded_tables(inputs, codes, won, weights, groups, settings)
    columns = encoded_columns(inputs, codes, won, weights, groups, settings)
    booster = encoded_booster(columns, won, weights, settings)
    cells = [
        paired_codes(codes, one.index, inputs)[0] if isinstance(one.index, tuple) else codes[:, one.index]
        for one in columns
    ]
    rates = np.column_stack([one.values[cell] for one, cell in zip(columns, cells, strict=True)])
    assert tables.two, "without a pair this would show little"
    assert np.abs(tables.logits(codes) - booster.decision_function(rates)).max() < 1e-9
