"""How the forecast would have gone: closed deals in the order of their creation, weighed by their stage's
probability and by a model that knew only the deals before them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from core.lead_scoring.evaluation import future_blocks
from core.lead_scoring.features import Frame
from core.lead_scoring.metrics import log_losses
from core.lead_scoring.rules import RuleSet
from core.lead_scoring.scorer import Scorer
from core.lead_scoring.training import train

# The newest snapshots that are looked at: five trainings more have to end within a job's time.
NEWEST = 20_000
LEAST = 100
STAGE, MODEL = "stage", "model"


def backtest(
    frame: Frame, won: np.ndarray, weights: np.ndarray, groups: np.ndarray, rules: RuleSet
) -> dict[str, Any]:
    """Log loss and error in money of both weights, over five blocks and in all; empty where deals are too
    few, or their amounts or stages were barred from scoring.

    Rows are snapshots of deals in time order; those of a deal weigh one together. The error in money is what
    the weighted amounts of a block differ from the amounts won in it, added up over the blocks, as a share of
    what was won.
    """
    rows = np.arange(max(0, len(won) - NEWEST), len(won))
    if len(rows) < LEAST or not {"amount", "probability"} <= set(frame.columns):
        return {}
    frame, won, weights, groups = frame.take(rows), won[rows], weights[rows], groups[rows]
    blocks = [
        _block(frame, won, weights, groups, rules, start, end)
        for start, end in _whole_deals(groups, len(won))
        if won[:start].min() < won[:start].max()
    ]
    return {"blocks": blocks, **{name: _in_all(blocks, name) for name in (STAGE, MODEL)}} if blocks else {}


def _whole_deals(groups: np.ndarray, n: int) -> Iterator[tuple[int, int]]:
    """The blocks of the newest half, moved so that no deal is in two."""
    starts = np.flatnonzero(np.r_[True, np.diff(groups) != 0])
    edges = [(start, end) for start, end in future_blocks(n)]
    for start, end in edges:
        first, last = (_next(starts, edge, n) for edge in (start, end))
        if 0 < first < last:
            yield first, last


def _next(starts: np.ndarray, edge: int, n: int) -> int:
    place = int(np.searchsorted(starts, edge))
    return int(starts[place]) if place < len(starts) else n


def _block(
    frame: Frame,
    won: np.ndarray,
    weights: np.ndarray,
    groups: np.ndarray,
    rules: RuleSet,
    start: int,
    end: int,
) -> dict[str, Any]:
    """One block: how many deals, log loss and money of both weights."""
    past, future = frame.take(np.arange(start)), frame.take(np.arange(start, end))
    model = train(past, won[:start], rules, weights=weights[:start], groups=groups[:start])
    stages = np.nan_to_num(future.columns["probability"], nan=100 * won[:start].mean()) / 100
    predicted = {STAGE: stages, MODEL: Scorer(model).probabilities(future)}
    outcomes, counted = won[start:end], weights[start:end]
    found: dict[str, Any] = {"deals": round(float(counted.sum())), "won": round(float(counted @ outcomes))}
    for name, probability in predicted.items():
        loss = float(np.average(log_losses(outcomes, probability), weights=counted))
        found[name] = {"log_loss": round(loss, 4)}
    return found | {"money": _money(future, outcomes, counted, predicted)}


def _money(
    frame: Frame, won: np.ndarray, weights: np.ndarray, predicted: dict[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """By currency: the amounts won, and what each weight made of all of them."""
    amounts = weights * np.nan_to_num(frame.columns["amount"])
    currencies = frame.columns.get("currency", np.full(frame.n, "", dtype=object))
    codes = np.array([(value or "").upper() for value in currencies])
    return {
        str(code): {
            "won": round(float(amounts[codes == code] @ won[codes == code]), 2),
            **{
                name: round(float(amounts[codes == code] @ probability[codes == code]), 2)
                for name, probability in predicted.items()
            },
        }
        for code in np.unique(codes)
    }


def _in_all(blocks: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Mean log loss over the deals of all blocks, and by currency the error in money as a share of what was
    won."""
    deals = [block["deals"] for block in blocks]
    losses = [block[name]["log_loss"] for block in blocks]
    errors: dict[str, float] = {}
    for code in sorted({code for block in blocks for code in block["money"]}):
        money = [block["money"][code] for block in blocks if code in block["money"]]
        total = sum(one["won"] for one in money)
        if total:
            errors[code] = round(sum(abs(one[name] - one["won"]) for one in money) / total, 4)
    return {"log_loss": round(float(np.average(losses, weights=deals)), 4), "money_error": errors}
