"""`manage.py import_csv leads FILE --user admin [--set duplicates=update …]`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from core.access import Permission
from core.accounts.models import User
from core.errors import DomainError, ForbiddenError
from core.transfer import jobs
from core.transfer.models import ImportIssue, ImportJob
from core.transfer.options import parse
from core.transfer.planning import Plan, plan
from core.transfer.previewing import preview
from core.transfer.reading import open_table
from core.transfer.report import OUTCOMES
from core.transfer.terminal import ProgressBar, resource_named, settings_in, user_named

SHOWN = 20


class Command(BaseCommand):
    help = "Import a CSV or XLSX file as a user, by the API's own rules; it can be undone like any import."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("resource", help="leads, contacts, companies, opportunities or tasks")
        parser.add_argument("file", type=Path)
        parser.add_argument("--user", required=True, help="the username or e-mail address to import as")
        parser.add_argument("--preview", action="store_true", help="only say how the file would be read")
        parser.add_argument("--dry-run", action="store_true", help="check everything and write nothing")
        parser.add_argument(
            "--set", nargs="*", action="extend", default=[], metavar="OPTION=VALUE",
            help="options of the API: duplicates=update mapping='{…}' skip_errors=false …",
        )  # fmt: skip

    def handle(self, *args: Any, **given: Any) -> None:
        try:
            user = user_named(given["user"])
            with given["file"].open("rb") as file:
                made = _plan(given, file, user)
                self._show(made) if given["preview"] else self._import(made, file, given["file"].name, user)
        except (DomainError, OSError) as error:
            raise CommandError(str(error)) from error

    def _show(self, made: Plan) -> None:
        found = preview(made)
        self.stdout.write(f"{found['rows']:,} rows, {found['encoding']}, delimiter {found['delimiter']!r}")
        for column in found["columns"]:
            target = column["field"] or "-"
            self.stdout.write(f"  {column['header']:<30} {target:<20} {column['reason']}")

    def _import(self, made: Plan, file: Any, name: str, user: User) -> None:
        # One transaction from the job on: what the sweep saw of an open job it would take up, without a file.
        with transaction.atomic():
            job = jobs.begin(made, file, name, user)
            bar = ProgressBar(self.stderr, job.rows)
            jobs.run_now(job, made, lambda report: bar.show(report.read))
        bar.end(job.read)
        self._print_summary(job)
        if not job.success:
            raise CommandError(f"nothing was imported: {job.message}")

    def _print_summary(self, job: ImportJob) -> None:
        figures = ", ".join(f"{getattr(job, outcome):,} {outcome}" for outcome in OUTCOMES)
        self.stdout.write(f"Import {job.pk}: {job.read:,} read: {figures}")
        for warning in job.warnings:
            self.stdout.write(f"  {warning['message']}")
        for issue in job.issues.filter(kind=ImportIssue.Kind.ERROR).order_by("id")[:SHOWN]:
            for error in issue.errors:
                where = f"{error['field']}: " if error["field"] else ""
                self.stdout.write(f"  row {issue.row}: {where}{error['message']}")
        if job.failed > SHOWN:
            self.stdout.write(f"  … {job.failed - SHOWN:,} more: /api/v1/imports/{job.pk}/errors.csv")


def _plan(given: dict[str, Any], file: Any, user: User) -> Plan:
    entity = resource_named(given["resource"])
    if not entity.model.policy.allows(user, Permission.ADD):
        raise ForbiddenError(f"{user.get_username()} may not add {entity.plural}.")
    asked = parse(settings_in(given["set"]) | ({"dry_run": "true"} if given["dry_run"] else {}))
    return plan(entity, open_table(file, asked.reading), asked, user)
