"""`manage.py export_csv leads FILE --user admin [--set status=new format=xlsx …]`."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.conf import reading_database
from core.errors import DomainError
from core.transfer.exporting import export_of, stream
from core.transfer.terminal import ProgressBar, resource_named, settings_in, user_named


class Command(BaseCommand):
    help = "Export what a user sees, with the list's own filters; FILE may be - for standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("resource", help="leads, contacts, companies, opportunities or tasks")
        parser.add_argument("file")
        parser.add_argument("--user", required=True, help="whose records: the username or e-mail address")
        parser.add_argument(
            "--set", nargs="*", action="extend", default=[], metavar="PARAMETER=VALUE",
            help="the list's filters, search, ordering and fields; format, bom, delimiter",
        )  # fmt: skip

    def handle(self, *args: Any, **given: Any) -> None:
        try:
            user = user_named(given["user"])
            export = export_of(resource_named(given["resource"]), settings_in(given["set"]), user)
            self._write(given["file"], lambda counted: stream(export, reading_database(), counted), export)
        except (DomainError, OSError) as error:
            raise CommandError(str(error)) from error

    def _write(self, name: str, blocks: Any, export: Any) -> None:
        bar = ProgressBar(self.stderr, export.found.rows.count())
        rows = [0]

        def counted(done: int) -> None:
            rows[0] = done
            bar.show(done)

        if name == "-":
            for block in blocks(counted):
                sys.stdout.buffer.write(block)
        else:
            with open(name, "wb") as file:
                for block in blocks(counted):
                    file.write(block)
        bar.end(rows[0])
