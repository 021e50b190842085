"""What goes live: permuted outcomes, true ones and poisoned ones, over tables of several kinds and sizes.

    python -m benchmarks.scoring_gate run --out gate.jsonl [--bank bank-marketing.csv] [--seconds 600]
    python -m benchmarks.scoring_gate summary --out gate.jsonl

Needs no database. Every run is a line of the file; runs that stand in it already are passed over, so that it
can be carried out in portions.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.lead_scoring.default_rules import DEFAULT_RULES
from core.lead_scoring.features import FeatureSpec, Frame, Kind, frame_of
from core.lead_scoring.retraining import retrain
from core.lead_scoring.tabular import read_table
from core.lead_scoring.tests.worlds import leads
from core.lead_scoring.training import train

SIZES = (300, 700, 1_500, 3_000, 5_000)
# Runs of each kind and size: small tables are cheap, and pass by chance most easily.
PERMUTED = {300: 30, 700: 20, 1_500: 12, 3_000: 8, 5_000: 5}
SIGNAL = {300: 20, 700: 20, 1_500: 12, 3_000: 8, 5_000: 8}
POISONED_SIZE, POISONED_SEEDS = 2_000, 2
POISON_SHARES = (0.05, 0.1, 0.2)
POISONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "all won": lambda won, random: np.ones_like(won),
    "all lost": lambda won, random: np.zeros_like(won),
    "permuted": lambda won, random: random.permutation(won),
    "flipped": lambda won, random: 1 - won,
}
# Learned by the live model, as a share of a table whose newest rows are poisoned.
LIVE_SHARE = 0.6
Table = tuple[Frame, np.ndarray]


@dataclass(frozen=True)
class Case:
    """One retraining; `poison` and `share` say what was done to the newest outcomes."""

    test: str
    table: str
    size: int
    seed: int
    poison: str = ""
    share: float = 0.0


def many_levels(n: int, seed: int) -> Table:
    """Deals of 60 people and 150 products: what decides are rare levels, and the share won swings slowly."""
    random = np.random.default_rng(seed)
    person, product = (random.zipf(1.4, n) % levels for levels in (60, 150))
    amount = np.exp(random.normal(8, 1, n))
    skill, demand = random.normal(0, 0.8, 60), random.normal(0, 0.8, 150)
    season = 0.4 * np.sin(np.arange(n) / n * 6)
    logit = -0.6 + skill[person] + demand[product] - 0.4 * (np.log(amount) - 8) + season
    won = (random.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    specs = (
        FeatureSpec("person", "Person", Kind.CATEGORY),
        FeatureSpec("product", "Product", Kind.CATEGORY),
        FeatureSpec("amount", "Amount", Kind.NUMBER),
    )
    raw = {"person": [f"p{i}" for i in person], "product": [f"q{i}" for i in product], "amount": amount}
    return frame_of(specs, raw, n), won


class Tables:
    """Tables by kind, size and seed; of bank marketing consecutive rows from a place that the seed draws."""

    def __init__(self, bank: Path | None) -> None:
        self._bank = None
        if bank:
            hidden = ("duration", "month", "day_of_week")
            self._bank = read_table(bank, "y", "row", [name for name in hidden if name in _header(bank)])

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("leads", "many levels", *(("bank marketing",) if self._bank else ()))

    def table(self, kind: str, size: int, seed: int) -> Table:
        if kind == "leads":
            return leads(size, seed)
        if kind == "many levels":
            return many_levels(size, seed)
        assert self._bank is not None
        start = int(np.random.default_rng(seed).integers(0, len(self._bank.won) - size))
        rows = np.arange(start, start + size)
        return self._bank.frame.take(rows), self._bank.won[rows]


def _header(path: Path) -> str:
    with path.open() as file:
        return file.readline()


def cases(kinds: tuple[str, ...]) -> Iterator[Case]:
    """Every case; a portion begins with those that a figure needs most."""
    for table in kinds:
        for share in POISON_SHARES:
            for poison in POISONS:
                for seed in range(POISONED_SEEDS):
                    yield Case("poisoned", table, POISONED_SIZE, seed, poison, share)
        for test, runs in (("permuted", PERMUTED), ("signal", SIGNAL)):
            for size, number in runs.items():
                yield from (Case(test, table, size, seed) for seed in range(number))


def judged(case: Case, tables: Tables) -> dict[str, Any]:
    """Whether what goes live learned from outcomes that it should, or should not, have learned from."""
    frame, won = tables.table(case.table, case.size, case.seed)
    random = np.random.default_rng(1_000 + case.seed)
    if case.test != "poisoned":
        outcomes = random.permutation(won) if case.test == "permuted" else won
        made = retrain(frame, outcomes, DEFAULT_RULES, None)
        return {"passed": made.verdict.passed, "reason": made.verdict.reason}
    first, clean = np.arange(int(case.size * LIVE_SHARE)), round(case.size * (1 - case.share))
    live = train(frame.take(first), won[first], DEFAULT_RULES)
    won[clean:] = POISONS[case.poison](won[clean:], random)
    made = retrain(frame, won, DEFAULT_RULES, live)
    learned = made.verdict.passed and made.model.about["leads"] > clean
    return {"passed": learned, "reason": made.suspicion or made.verdict.reason}


def run(out: Path, tables: Tables, seconds: float) -> None:
    """Append the runs that are missing, for so long."""
    there = {_key(json.loads(line)) for line in out.read_text().splitlines()} if out.exists() else set()
    until = time.monotonic() + seconds
    # Over tables, seeds and sizes in turn, so that any portion says something of each.
    waiting = sorted((case for case in cases(tables.kinds) if _key(asdict(case)) not in there), key=_turn)
    with out.open("a") as file:
        for case in waiting:
            if time.monotonic() > until:
                return
            file.write(json.dumps(asdict(case) | judged(case, tables)) + "\n")
            file.flush()


def _turn(case: Case) -> tuple[int, int]:
    return (("permuted", "poisoned", "signal").index(case.test), case.seed, case.size)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in Case.__dataclass_fields__)


def summary(out: Path) -> None:
    """A table of how many passed, by test, kind of table and size (of poison: by its kind and share)."""
    found: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    totals: dict[str, list[bool]] = defaultdict(list)
    for line in out.read_text().splitlines():
        row = json.loads(line)
        what = f"newest {row['share']:.0%} {row['poison']}" if row["poison"] else f"{row['size']:,} rows"
        found[row["test"], row["table"], what].append(row["passed"])
        totals[row["test"]].append(row["passed"])
    print("| test | table | what | passed |\n|---|---|---|---|")
    for (test, table, what), passed in sorted(found.items()):
        print(f"| {test} | {table} | {what} | {sum(passed)} of {len(passed)} |")
    for test, passed in sorted(totals.items()):
        print(f"| **{test}** | all | | **{sum(passed)} of {len(passed)} ({np.mean(passed):.1%})** |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("run", "summary"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bank", type=Path)
    parser.add_argument("--seconds", type=float, default=600)
    arguments = parser.parse_args()
    if arguments.verb == "run":
        run(arguments.out, Tables(arguments.bank), arguments.seconds)
    summary(arguments.out)
