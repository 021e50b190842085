"""`manage.py export_person FILE --email ada@example.com [--phone … --record lead:5]`."""

import shutil
from argparse import ArgumentParser
from typing import Any

from django.core.files.storage import default_storage

from core.privacy.commands.person import PersonCommand
from core.privacy.models import PrivacyRequest


class Command(PersonCommand):
    help = "Write everything that is kept of a person to FILE, as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file")
        super().add_arguments(parser)

    def handle(self, *args: Any, **given: Any) -> None:
        request = self.work(self.begin(PrivacyRequest.Kind.EXPORT, given))
        with default_storage.open(request.stored_as) as stored, open(given["file"], "wb") as file:
            shutil.copyfileobj(stored, file)
        self.stdout.write(f"{request.total('rows')} rows of {len(request.counts)} tables")
