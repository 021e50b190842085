"""`manage.py audit_anchor [--append FILE]`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from core.changes import seals


class Command(BaseCommand):
    help = "Write the newest seal of the change table as a line of JSON, to be kept elsewhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--append", metavar="FILE", help="Add the line to a file.")

    def handle(self, *args: Any, append: str | None, **options: Any) -> None:
        found = seals.last_seal()
        if found is None:
            raise CommandError("Nothing is sealed yet.")
        line = orjson.dumps(seals.anchor(found)).decode()
        if append is None:
            self.stdout.write(line)
            return
        with Path(append).open("a") as file:
            file.write(f"{line}\n")
