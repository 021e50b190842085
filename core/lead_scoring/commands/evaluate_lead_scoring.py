"""`manage.py evaluate_lead_scoring FILE.csv --outcome COLUMN --time COLUMN [--exclude COLUMN …]`."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.errors import InvalidError
from core.lead_scoring.default_rules import DEFAULT_RULES
from core.lead_scoring.evaluation import METRICS, Evaluation, evaluate
from core.lead_scoring.evaluation_report import evaluation_report
from core.lead_scoring.rules import RuleSet, parse_rules
from core.lead_scoring.tabular import LabelledTable, TableError, UnclearOutcomeError, read_table

TITLES = {
    "auc": "AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "brier": "Brier",
    "ece": "ECE",
    "ece_by_chance": "ECE by chance",
    "lift_10": "lift@10%",
}
LEAST_ROWS = 50


class Command(BaseCommand):
    help = (
        "Run the production scoring pipeline on a labelled table: the last half of the rows in 5 blocks, "
        "each predicted from all rows before it, beside class prior, rules and other models."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="a CSV file with one row per lead")
        parser.add_argument("--outcome", required=True, help="the column that says won or lost")
        parser.add_argument(
            "--time", default="row", help="the column to order by; 'row' for the file's own order"
        )
        parser.add_argument(
            "--exclude", nargs="*", action="extend", default=[], help="columns known only afterwards"
        )
        parser.add_argument(
            "--allow", nargs="*", action="extend", default=[], help="columns no leak check may drop"
        )
        parser.add_argument("--rules", type=Path, help="a rule set as JSON, in terms of the table's columns")
        parser.add_argument(
            "--won",
            nargs="*",
            action="extend",
            default=[],
            help="outcomes that mean won, where it is not clear",
        )
        parser.add_argument("--report", type=Path, help="also draw reliability and losses, as an HTML file")
        parser.add_argument("--json", action="store_true", help="print JSON, with every block")

    def handle(self, *args: Any, **options: Any) -> None:
        table = self._table(options)
        if len(table.won) < LEAST_ROWS:
            raise CommandError(
                f"{len(table.won)} rows with outcome and time; an evaluation needs {LEAST_ROWS}."
            )
        if table.won.min() == table.won.max():
            raise CommandError("Every row has the same outcome: there is nothing to predict.")
        rules = _rules(options["rules"])
        progress = (lambda sentence: None) if options["json"] else self.stderr.write
        for note in table.notes:
            progress(note)
        found = evaluate(table.frame, table.won, rules, allowed=options["allow"], progress=progress)
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "medians": found.medians(),
                        "means": found.means(),
                        "blocks": found.blocks,
                        "notes": table.notes,
                    }
                )
            )
        else:
            self._print(table, found)
        if options["report"]:
            options["report"].write_text(evaluation_report(options["file"].name, table, found))

    def _table(self, options: dict[str, Any]) -> LabelledTable:
        exclude = [name.strip() for given in options["exclude"] for name in given.split(",") if name.strip()]
        given = (options["file"], options["outcome"], options["time"], exclude)
        try:
            return read_table(*given, options["won"])
        except UnclearOutcomeError as error:
            if not sys.stdin.isatty():
                raise CommandError(str(error)) from error
            return self._read_as(given, [_asked(error.values)])
        except (TableError, OSError) as error:
            raise CommandError(str(error)) from error

    def _read_as(self, given: tuple[Path, str, str, list[str]], won: list[str]) -> LabelledTable:
        try:
            return read_table(*given, won)
        except TableError as error:
            raise CommandError(str(error)) from error

    def _print(self, table: LabelledTable, found: Evaluation) -> None:
        n, wins = len(table.won), int(table.won.sum())
        self.stdout.write(
            f"{n:,} rows, {wins:,} won ({wins / n:.1%}), medians over {len(found.sizes)} future blocks\n"
        )
        self.stdout.write("| model | " + " | ".join(TITLES[metric] for metric in METRICS) + " |")
        self.stdout.write("|---|" + "---|" * len(METRICS))
        for name, medians in found.medians().items():
            cells = " | ".join(
                f"{medians[m]:.4f}" if m in ("log_loss", "brier") else f"{medians[m]:.3f}" for m in METRICS
            )
            self.stdout.write(f"| {name} | {cells} |")
        self._print_blocks(found)
        smallest = min(size for _, size in found.sizes)
        self.stdout.write(
            f"ECE by chance: what blocks of {smallest:,} rows give even if every probability is true. "
            f"The share won moved by {found.shift:.3f} from block to block (median), which no model can know."
        )
        for key, why in found.dropped[-1].items():
            self.stdout.write(f"left out: {key}: {why}")

    def _print_blocks(self, found: Evaluation) -> None:
        """Log loss of every block, its median and its mean."""
        numbers = [str(i) for i in range(1, len(found.sizes) + 1)]
        self.stdout.write("\n| log loss | " + " | ".join([*numbers, "median", "mean"]) + " |")
        self.stdout.write("|---|" + "---|" * (len(numbers) + 2))
        medians, means = found.medians(), found.means()
        for name, blocks in found.blocks.items():
            losses = [block["log_loss"] for block in blocks]
            cells = [*losses, medians[name]["log_loss"], means[name]["log_loss"]]
            self.stdout.write(f"| {name} | " + " | ".join(f"{cell:.4f}" for cell in cells) + " |")
        self.stdout.write("")


def _asked(values: Sequence[str]) -> str:
    """Which outcome means won, from whoever sits at the terminal."""
    return input(f"Which outcome means won? {', '.join(values)}: ").strip()


def _rules(path: Path | None) -> RuleSet:
    if path is None:
        return DEFAULT_RULES
    try:
        return parse_rules(json.loads(path.read_text()))
    except (OSError, ValueError, InvalidError) as error:
        raise CommandError(f"{path}: {error}") from error
