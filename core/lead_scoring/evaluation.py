"""How good the production pipeline is on a labelled table: rolling origin, beside the baselines."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.lead_scoring import baselines
from core.lead_scoring.features import Frame
from core.lead_scoring.inputs import learn_inputs
from core.lead_scoring.metrics import all_metrics, ece_by_chance, reliability
from core.lead_scoring.rules import RuleSet
from core.lead_scoring.scorer import Scorer
from core.lead_scoring.training import train

BLOCKS = 5
PIPELINE = "this pipeline"
METRICS = ("auc", "pr_auc", "log_loss", "brier", "ece", "ece_by_chance", "lift_10")


@dataclass
class Evaluation:
    """Metrics by model, one dict a block; `dropped` features of the pipeline by block, with why."""

    blocks: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    # By model, (outcomes, probabilities) of each block.
    predictions: dict[str, list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)
    dropped: list[dict[str, str]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    # Of each block: the share won in it and in as many leads just before it.
    shares: list[tuple[float, float]] = field(default_factory=list)

    @property
    def shift(self) -> float:
        """By how much the share won moved from one block to the next (median): no model knows that before."""
        return float(np.median([abs(now - before) for now, before in self.shares]))

    def medians(self) -> dict[str, dict[str, float]]:
        """Each model's median over the blocks, by metric."""
        return self._over_blocks(np.median)

    def means(self) -> dict[str, dict[str, float]]:
        """Each model's mean over the blocks, by metric."""
        return self._over_blocks(np.mean)

    def _over_blocks(self, average: Callable[..., Any]) -> dict[str, dict[str, float]]:
        return {
            name: {metric: float(average([block[metric] for block in found])) for metric in METRICS}
            for name, found in self.blocks.items()
        }

    def reliability(self, name: str) -> list[dict[str, float]]:
        """The calibration curve of a model over all blocks together."""
        outcomes, probabilities = zip(*self.predictions[name], strict=True)
        return reliability(np.concatenate(outcomes), np.concatenate(probabilities))


def future_blocks(n: int, blocks: int = BLOCKS) -> Iterator[tuple[int, int]]:
    """(start, end) of the blocks that the second half of n rows is cut into."""
    edges = np.linspace(n // 2, n, blocks + 1).astype(int)
    yield from zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)


def models(rules: RuleSet) -> dict[str, baselines.Baseline]:
    """Everything compared, the pipeline aside."""
    return {
        "class prior": baselines.class_prior,
        "rules": baselines.ruled(rules),
        "Odoo naive Bayes": baselines.odoo_bayes,
        "Odoo naive Bayes, 8 bins": baselines.odoo_bayes_coarse,
        "logistic regression": baselines.logistic_regression,
        "random forest": baselines.random_forest,
        "plain boosting": baselines.plain_boosting,
        "boosting, native categories": baselines.native_boosting,
        **baselines.installed(),
    }


def evaluate(
    frame: Frame,
    won: np.ndarray,
    rules: RuleSet,
    *,
    allowed: Sequence[str] = (),
    progress: Callable[[str], None] = lambda sentence: None,
) -> Evaluation:
    """Rows in time order; the last half in blocks, each predicted by models of all rows before it.

    The baselines are given the features that the pipeline keeps, so that a leak flatters no one.
    """
    found = Evaluation()
    for start, end in future_blocks(len(won)):
        past, future = frame.take(np.arange(start)), frame.take(np.arange(start, end))
        progress(f"rows {start + 1:,} to {end:,} from the {start:,} before them")
        model = train(past, won[:start], rules, allowed=allowed)
        dropped = model.about["dropped"]
        found.dropped.append(dropped)
        found.sizes.append((start, end - start))
        outcomes = won[start:end]
        found.shares.append((float(outcomes.mean()), float(won[max(0, 2 * start - end) : start].mean())))
        _note(found, PIPELINE, outcomes, Scorer(model).probabilities(future))
        past, future = past.without(dropped), future.without(dropped)
        for name, predict in models(rules).items():
            _note(found, name, outcomes, _or_prior(predict, past, won[:start], future))
    return found


def _or_prior(predict: baselines.Baseline, past: Frame, won: np.ndarray, future: Frame) -> np.ndarray:
    """A baseline that cannot learn from one class, or from features that are the same for all, predicts the
    class prior."""
    if won.min() == won.max() or not learn_inputs(past)[0]:
        return baselines.class_prior(past, won, future)
    return predict(past, won, future)


def _note(found: Evaluation, name: str, won: np.ndarray, probability: np.ndarray) -> None:
    found.predictions.setdefault(name, []).append((won, probability))
    found.blocks.setdefault(name, []).append(
        all_metrics(won, probability) | {"ece_by_chance": ece_by_chance(probability)}
    )
