"""`manage.py run_automation`: all background work in one process, without broker, worker or beat."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from backend.scheduler import Here
from core import standalone_runner


class Command(BaseCommand):
    help = (
        "Do all background work: what workers and beat would do. Needs no broker; any number may run at once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="do what is due, then end")
        parser.add_argument(
            "--pause",
            type=float,
            default=standalone_runner.PAUSE_S,
            help="seconds from look to look when idle",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stop, schedule = threading.Event(), Here()
        if options["once"]:
            while standalone_runner.run_once() + schedule.run_pending(stop.is_set):
                continue
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        self.stdout.write("automation runs; Ctrl-C ends it after the step at hand")
        standalone_runner.run_forever(stop, options["pause"], schedule.run_pending)
