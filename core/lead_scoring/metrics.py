"""How good probabilities are; all take outcomes (0 or 1) and probabilities as arrays of one length."""

import numpy as np

EPSILON = 1e-6


def log_losses(won: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Each lead's own log loss, in nats."""
    safe = np.clip(probability, EPSILON, 1 - EPSILON)
    return -np.where(won > 0, np.log(safe), np.log1p(-safe))


def log_loss(won: np.ndarray, probability: np.ndarray) -> float:
    return float(log_losses(won, probability).mean())


def brier(won: np.ndarray, probability: np.ndarray) -> float:
    return float(((probability - won) ** 2).mean())


def auc(won: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve by ranks, ties halved (Mann and Whitney); 0.5 with one class only."""
    wins = int((won > 0).sum())
    losses = len(won) - wins
    if not wins or not losses:
        return 0.5
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = middle[inverse][won > 0].sum()
    return float((rank_sum - wins * (wins + 1) / 2) / (wins * losses))


def pr_auc(won: np.ndarray, scores: np.ndarray) -> float:
    """Average precision, tied scores taken together; 0 without wins."""
    total = float((won > 0).sum())
    if not total:
        return 0.0
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(won[order] > 0)[last_of_tie]
    seen = np.flatnonzero(last_of_tie) + 1
    return float((np.diff(hits, prepend=0) / total * hits / seen).sum())


def ece(won: np.ndarray, probability: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error over bins of equal numbers of leads."""
    curve = reliability(won, probability, bins)
    return sum(point["n"] * abs(point["predicted"] - point["observed"]) for point in curve) / max(len(won), 1)


def ece_by_chance(probability: np.ndarray, bins: int = 10) -> float:
    """The `ece` to expect if every probability were true: what so few leads give by chance alone.

    Of each bin the mean absolute deviation of its share won, by the normal law: sqrt(2/pi) times its standard
    deviation.
    """
    parts = np.array_split(np.sort(probability), bins)
    return float(sum(np.sqrt(2 / np.pi * (p * (1 - p)).sum()) for p in parts) / max(len(probability), 1))


def reliability(won: np.ndarray, probability: np.ndarray, bins: int = 10) -> list[dict[str, float]]:
    """The calibration curve: in each bin of equal numbers its leads, mean prediction and share won."""
    order = np.argsort(probability, kind="stable")
    return [
        {"n": len(part), "predicted": float(probability[part].mean()), "observed": float(won[part].mean())}
        for part in np.array_split(order, bins)
        if len(part)
    ]


def lift(won: np.ndarray, scores: np.ndarray, share: float = 0.1) -> float:
    """Share won among the best `share` of leads over the share won among all; ties count by their mean."""
    base = float(won.mean()) if len(won) else 0.0
    if not base:
        return 0.0
    return _hit_rate(won, scores, max(1, round(len(won) * share))) / base


def _hit_rate(won: np.ndarray, scores: np.ndarray, best: int) -> float:
    """Share won among the `best` leads, leads tied at the border taken in proportion."""
    border = np.sort(scores)[-best]
    above, tied = scores > border, scores == border
    hits = won[above].sum() + won[tied].mean() * (best - above.sum())
    return float(hits / best)


def all_metrics(won: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Everything at once, under the names the evaluation prints."""
    return {
        "auc": auc(won, probability),
        "pr_auc": pr_auc(won, probability),
        "log_loss": log_loss(won, probability),
        "brier": brier(won, probability),
        "ece": ece(won, probability),
        "lift_10": lift(won, probability),
    }
