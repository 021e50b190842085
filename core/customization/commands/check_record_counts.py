"""`manage.py check_record_counts [--correct]`: count all records anew and compare with what is kept."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.entities import record_counts

# Differences of one entity that are named.
SHOWN = 20


class Command(BaseCommand):
    help = "Count all records anew and compare with the counts that are kept; writing goes on meanwhile."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--correct", action="store_true", help="Make the kept counts right.")

    def handle(self, *args: Any, **options: Any) -> None:
        names = record_counts.counted_entities()
        if options["correct"]:
            for name in names:
                self.stdout.write(f"{name}: {record_counts.correct(name)} corrected")
            return
        wrong = {name: found for name in names if (found := record_counts.wrong(name))}
        for name, found in wrong.items():
            for owner, assignee, field, value, figure, amount in found[:SHOWN]:
                where = f"{field} {value!r}" if field else "all"
                self.stdout.write(f"{name}, owner {owner}, assigned {assignee}, {where}: {figure} {amount:+}")
        if wrong:
            total = sum(map(len, wrong.values()))
            raise CommandError(f"{total} counts are wrong; check_record_counts --correct makes them right.")
        self.stdout.write("All counts are right.")
