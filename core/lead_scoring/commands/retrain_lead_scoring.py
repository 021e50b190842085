"""`manage.py retrain_lead_scoring`: train a challenger now, in this process, and say what became of it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.lead_scoring import jobs
from core.lead_scoring.default_entity import DEFAULT_ENTITY
from core.lead_scoring.models import ScoringJob
from core.lead_scoring.scoring_target import scoring_targets


class Command(BaseCommand):
    help = "Train a new lead scoring model on every closed lead; it goes live if it predicts no worse."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--entity", choices=scoring_targets.keys(), default=DEFAULT_ENTITY, help="whose scores; leads"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        job = jobs.start(ScoringJob.Kind.RETRAIN, entity=options["entity"])
        if jobs.run_job(str(job.task_id)) == jobs.BUSY:
            raise CommandError(f"A retraining is under way: job {job.task_id}.")
        job.refresh_from_db()
        if job.status != ScoringJob.Status.FINISHED:
            raise CommandError(job.message)
        for name, value in job.result.items():
            self.stdout.write(f"{name}: {value}")
