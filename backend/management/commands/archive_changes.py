"""`manage.py archive_changes --before 2026-01 --to DIR`."""

from argparse import ArgumentParser
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from backend import database_roles
from core.changes import archiving
from core.changes.archive_files import ArchiveBrokenError
from core.entities.locks import ARCHIVING, session_lock


class Command(BaseCommand):
    help = "Move whole months of old changes from the audit trail into files that the seals vouch for."

    def add_arguments(self, parser: ArgumentParser) -> None:
        chosen = parser.add_mutually_exclusive_group(required=True)
        chosen.add_argument("--before", metavar="YYYY-MM", help="Months before this one.")
        chosen.add_argument("--keep-months", type=int, metavar="N", help="All but the last N months.")
        parser.add_argument("--to", required=True, type=Path, metavar="DIR", help="An existing folder.")

    def handle(
        self, *args: Any, before: str | None, keep_months: int | None, to: Path, **options: Any
    ) -> None:
        until = _month(before) if before else _months_ago(keep_months or 0)
        if until > _months_ago(0):
            raise CommandError("A month is archived once it is over.")
        if not to.is_dir():
            raise CommandError(f"{to} is no folder.")
        with database_roles.as_owner():
            self.require_owner()
            with session_lock(ARCHIVING) as is_alone:
                if not is_alone:
                    raise CommandError("Another archive_changes is running.")
                self.archive(until, to)

    def require_owner(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            [role] = cursor.fetchone()
            if not database_roles.owns_trail(cursor, role):
                raise CommandError(
                    f"The role {role} may only add to the trail: set DATABASE_MIGRATION_URL to the role that"
                    " owns it."
                )

    def archive(self, until: date, to: Path) -> None:
        total = 0
        try:
            for made in archiving.archive(until, to):
                total += made.rows
                self.stdout.write(f"{made.file}: {made.rows} changes, SHA-256 {made.sha256}")
        except (ArchiveBrokenError, OSError) as error:
            raise CommandError(str(error)) from error
        if total:
            with connection.cursor() as cursor:
                cursor.execute("VACUUM (ANALYZE) core_change")
        self.stdout.write(f"{total} changes were archived.")


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        raise CommandError("--before takes a month, such as 2026-01.") from None


def _months_ago(number: int) -> date:
    today = datetime.now(UTC).date()
    months = today.year * 12 + today.month - 1 - number
    return date(months // 12, months % 12 + 1, 1)
