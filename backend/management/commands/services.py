from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from backend.launch import services


class Command(BaseCommand):
    help = "Start, stop or name the embedded PostgreSQL and Valkey of this checkout, or remove their data."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "status", "remove"])

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        getattr(self, action)()

    def start(self) -> None:
        services().ensure_running(self.stdout.write)

    def stop(self) -> None:
        stopped = services().stop()
        self.stdout.write(f"Stopped {' and '.join(stopped)}." if stopped else "Nothing was running.")

    def status(self) -> None:
        for name, state in services().status().items():
            self.stdout.write(f"{name}: {state}")

    def remove(self) -> None:
        services().remove()
        self.stdout.write("Stopped, and the data removed.")
