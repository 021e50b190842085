"""`manage.py score_leads [ID …]`: score these leads, or all, now and in this process."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.lead_scoring import jobs
from core.lead_scoring.models import ScoringJob


class Command(BaseCommand):
    help = "Score the leads with these ids, or all leads, with the active model or the rules."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        selection = {"ids": options["ids"]} if options["ids"] else {}
        job = jobs.start(ScoringJob.Kind.BULK, None, selection)
        while jobs.run_job(str(job.task_id)) == ScoringJob.Status.RUNNING:
            pass
        job.refresh_from_db()
        if job.status != ScoringJob.Status.FINISHED:
            raise CommandError(job.message or "Another worker has the job in hand.")
        self.stdout.write(f"{job.done} leads scored")
