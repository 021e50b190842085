from random import Random
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from core.changes import audit_context
from core.demo import Demo, demo_parts


class Command(BaseCommand):
    help = "Add demo data: users, companies, contacts, leads, opportunities, tasks and more."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--leads", type=int, default=600, help="How many leads; the rest in proportion.")
        parser.add_argument(
            "--seed", type=int, help="The same seed gives the same data; by default new ones."
        )
        parser.add_argument("--force", action="store_true", help="Also without DEBUG: known passwords!")

    def handle(self, *args: Any, leads: int, seed: int | None, force: bool, **options: Any) -> None:
        if not (settings.DEBUG or force):
            raise CommandError("Demo users have a known password: only with DEBUG, or with --force.")
        if leads < 0:
            raise CommandError("--leads: a number from 0.")
        demo = Demo(leads, Random(seed), timezone.now())  # noqa: S311  nothing here is a secret
        with audit_context(None, source="system", automation=False):
            for part in demo_parts:
                self.stdout.write(f"  {part(demo)}")
