"""`manage.py backtest_forecast`: closed deals forecast by their stages and by a scoring model."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from opportunities.backtest import LEAST, MODEL, STAGE
from opportunities.win_probability import backtest_now


class Command(BaseCommand):
    help = (
        "Weigh closed deals, in the order of their creation, by the probability of their stage and by a "
        "model of the deals before them: log loss, and error of the forecast in money."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON, with the money of every block")

    def handle(self, *args: Any, **options: Any) -> None:
        found = backtest_now()
        if not found:
            raise CommandError(
                f"Too few closed deals that were open once (at least {LEAST} snapshots of them are needed)."
            )
        if options["json"]:
            self.stdout.write(json.dumps(found))
            return
        self.stdout.write(
            "| block | deals | won | log loss by stage | log loss by model |\n|---|---|---|---|---|"
        )
        for i, block in enumerate(found["blocks"], 1):
            losses = f"{block[STAGE]['log_loss']:.4f} | {block[MODEL]['log_loss']:.4f}"
            self.stdout.write(f"| {i} | {block['deals']} | {block['won']} | {losses} |")
        for name in (STAGE, MODEL):
            errors = ", ".join(f"{code} {share:.1%}" for code, share in found[name]["money_error"].items())
            self.stdout.write(f"by {name}: log loss {found[name]['log_loss']:.4f}, error in money {errors}")
