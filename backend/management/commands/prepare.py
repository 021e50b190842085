from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from backend import database_roles
from backend.checks import is_loopback
from core.changes import restore

DEMO_NAME, DEMO_PASSWORD = "admin", "password"


class Command(BaseCommand):
    help = "Make the database ready: migrate when needed; with --demo the first start adds demo data."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--demo",
            action="store_true",
            help="Add an administrator (admin / password) and demo data to an empty database; needs DEBUG.",
        )

    def handle(self, *args: Any, demo: bool, **options: Any) -> None:
        with database_roles.as_owner():
            self.migrate()
            database_roles.note_retention()
            if renumbered := restore.renumber_transactions():
                self.stdout.write(f"Restored from another server: {renumbered} changes are numbered anew.")
        if warning := database_roles.grant():
            self.stderr.write(warning)
        if demo and self.may_have_demo() and not get_user_model().objects.exists():
            self.add_demo()

    def migrate(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", interactive=False)

    def may_have_demo(self) -> bool:
        """A known password is for one's own machine only."""
        return settings.DEBUG and all(is_loopback(host) for host in settings.ALLOWED_HOSTS)

    def add_demo(self) -> None:
        users = get_user_model().objects
        users.create_superuser(DEMO_NAME, "admin@example.com", DEMO_PASSWORD, role="admin")
        self.stdout.write(f"Created the demo administrator {DEMO_NAME} / {DEMO_PASSWORD}.")
        if settings.DEMO_LEADS:
            self.stdout.write("Adding demo data.")
            call_command("seed_demo", leads=settings.DEMO_LEADS, seed=1, stdout=self.stdout)
