"""`manage.py erase_person --email ada@example.com [--phone … --record lead:5] [--dry-run]`."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from core.privacy.certificate import certificate_of
from core.privacy.commands.person import PersonCommand
from core.privacy.models import PrivacyRequest


class Command(PersonCommand):
    help = "Erase a person, and write the certificate; --dry-run counts alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", dest="dry_run")

    def handle(self, *args: Any, **given: Any) -> None:
        request = self.work(self.begin(PrivacyRequest.Kind.ERASE, given, dry_run=given["dry_run"]))
        shown = {"would_be_erased": request.counts} if request.dry_run else certificate_of(request)
        self.stdout.write(json.dumps(shown, cls=DjangoJSONEncoder, indent=2))
