from shlex import quote
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from backend.development.embedded.leftovers import leftovers
from backend.development.embedded.services import services_of_checkout

ACTIONS = {
    "start": "unless they run",
    "stop": "their data stays",
    "status": "what runs, and where",
    "remove": "stop them and delete their data",
    "env": "print variables for psql, pg_dump and the like",
    "tidy": "find servers' data of checkouts that were deleted",
}


class Command(BaseCommand):
    help = "The embedded PostgreSQL and Valkey of this checkout."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=list(ACTIONS), help="; ".join(map(": ".join, ACTIONS.items())))
        parser.add_argument("--yes", action="store_true", help="tidy: delete what is listed, for good.")

    def handle(self, *args: Any, action: str, yes: bool, **options: Any) -> None:
        self.yes = yes
        getattr(self, action)()

    def start(self) -> None:
        services_of_checkout().ensure_running(self.stdout.write)

    def stop(self) -> None:
        stopped = services_of_checkout().stop()
        self.stdout.write(f"Stopped {' and '.join(stopped)}." if stopped else "Nothing was running.")

    def status(self) -> None:
        for name, state in services_of_checkout().status().items():
            self.stdout.write(f"{name}: {state}")

    def remove(self) -> None:
        services_of_checkout().remove()
        self.stdout.write("Stopped, and the data removed.")

    def env(self) -> None:
        """For `eval "$(python manage.py services env)"` in a shell that is about to back up."""
        services_of_checkout().ensure_running(self.stderr.write)
        for name, value in services_of_checkout().environment().items():
            self.stdout.write(f"export {name}={quote(value)}")

    def tidy(self) -> None:
        """Servers' folders outside checkouts that are gone: listed, and deleted with --yes."""
        found = leftovers()
        for one in found:
            if self.yes:
                one.remove()
            self.stdout.write(
                f"{'Removed' if self.yes else 'Left behind'}: {one.path}, made for {one.made_for}"
            )
        if found and not self.yes:
            self.stdout.write("With --yes they are deleted, and the databases in them.")
        if not found:
            self.stdout.write("Nothing is left behind.")
