"""What `export_person` and `erase_person` share: who is meant, and working without a worker."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core import jobs
from core.changes.context import DISPATCH_JOB
from core.privacy import jobs as privacy_jobs
from core.privacy import lifecycle, steps
from core.privacy.api.serializers import SubjectSerializer
from core.privacy.models import PrivacyRequest
from core.privacy.subject import asked_from

# How often an erasure lets the consumers of changes work before it gives up.
ROUNDS = 20


class PersonCommand(BaseCommand):
    """Base of both commands."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", action="append", default=[], dest="emails")
        parser.add_argument("--phone", action="append", default=[], dest="phones")
        parser.add_argument(
            "--record", action="append", default=[], dest="records", metavar="ENTITY:ID", help="lead:5, say"
        )
        parser.add_argument(
            "--term",
            action="append",
            default=[],
            dest="terms",
            help="a further word, redacted in what the person has together with others",
        )

    def begin(self, kind: str, given: dict[str, Any], *, dry_run: bool = False) -> PrivacyRequest:
        """The request of these arguments. Raises CommandError."""
        records = [_record(text) for text in given["records"]]
        named = {name: given[name] for name in ("emails", "phones", "terms") if given[name]}
        body = SubjectSerializer(data=named | ({"records": records} if records else {}))
        if not body.is_valid():
            raise CommandError("; ".join(f"{name}: {reason}" for name, reason in body.errors.items()))
        return lifecycle.begin(kind, asked_from(body.validated_data), None, dry_run=dry_run)

    def work(self, request: PrivacyRequest) -> PrivacyRequest:
        """Do it here. Raises CommandError where it does not come to its end."""
        for _ in range(ROUNDS):
            status = privacy_jobs.run(request.pk)
            if status not in privacy_jobs.GOES_ON:
                break
            if status == steps.WAITING:
                jobs.run_now(DISPATCH_JOB)
        request.refresh_from_db()
        if request.is_open:
            raise CommandError("It waits for changes or an import; a worker goes on with it.")
        if request.status != PrivacyRequest.Status.FINISHED:
            raise CommandError(request.message)
        return request


def _record(text: str) -> dict[str, Any]:
    entity, _, pk = text.partition(":")
    return {"entity": entity, "id": pk}
