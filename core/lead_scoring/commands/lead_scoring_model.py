"""`manage.py lead_scoring_model export|import|activate|rollback|drift`: models and the active one."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from core.errors import ConflictError
from core.lead_scoring import drift_check, jobs, model_lifecycle
from core.lead_scoring.default_entity import DEFAULT_ENTITY
from core.lead_scoring.model import DamagedModelError
from core.lead_scoring.models import ScoringJob, ScoringModel
from core.lead_scoring.scoring_target import scoring_targets, target_of

VERBS = {
    "export": "write the active model to --path",
    "import": "store the model in --path, without activating it",
    "activate": "activate --model",
    "rollback": "activate the model before the active one",
    "drift": "report whether leads are still like those that the active model was trained on",
}


class Command(BaseCommand):
    help = "Export and import the scoring model, activate one, look for drift."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("verb", choices=list(VERBS), help="; ".join(map(": ".join, VERBS.items())))
        parser.add_argument("--path", type=Path, help="the file; LEAD_SCORING_MODEL_PATH by default")
        parser.add_argument(
            "--entity", choices=scoring_targets.keys(), default=DEFAULT_ENTITY, help="whose scores; leads"
        )
        parser.add_argument("--model", type=int, help="the model to activate")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(getattr(self, f"_{options['verb']}")(options))
        except (DamagedModelError, ConflictError, OSError, ScoringModel.DoesNotExist) as error:
            raise CommandError(str(error)) from error

    def _export(self, options: dict[str, Any]) -> str:
        return f"written to {model_lifecycle.export_model(options['path'], target_of(options['entity']))}"

    def _import(self, options: dict[str, Any]) -> str:
        row = model_lifecycle.import_model(options["path"], entity=options["entity"])
        return f"stored as model {row.pk}; activate it with --model {row.pk}"

    def _activate(self, options: dict[str, Any]) -> str:
        row = ScoringModel.objects.get(pk=options["model"])
        with transaction.atomic():
            model_lifecycle.activate(row)
            jobs.start(ScoringJob.Kind.BULK, entity=row.entity)
        return f"model {row.pk} scores; all records are scored anew in the background"

    def _rollback(self, options: dict[str, Any]) -> str:
        row = model_lifecycle.roll_back(target_of(options["entity"]))
        jobs.start(ScoringJob.Kind.BULK, entity=options["entity"])
        return f"model {row.pk} scores" if row else "the rules score"

    def _drift(self, options: dict[str, Any]) -> str:
        return json.dumps(drift_check.report(target_of(options["entity"])), indent=1)
