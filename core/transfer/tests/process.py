"""Work in a process of its own, to be killed: `python -m core.transfer.tests.process web|worker|export …`."""

import os
import sys
from pathlib import Path


def web(path: str) -> None:
    """As a request does it: job, rows and figures in one transaction; says how far it is."""
    from django.db import transaction

    from core.accounts.models import User
    from core.entities import entities
    from core.transfer import jobs
    from core.transfer.options import Options
    from core.transfer.planning import plan
    from core.transfer.reading import open_table

    user = User.objects.get()
    with Path(path).open("rb") as file, transaction.atomic():
        made = plan(entities["lead"], open_table(file), Options(), user)
        job = jobs.begin(made, file, "leads.csv", user)
        jobs.run_now(job, made, lambda report: print(report.read, flush=True))  # noqa: T201


def worker(job_id: str) -> None:
    """As the task does it."""
    from core.tasks import run_import

    print(run_import(int(job_id)), flush=True)  # noqa: T201


def export(job_id: str) -> None:
    """As the task does it."""
    from core.tasks import run_export

    print(run_export(int(job_id)), flush=True)  # noqa: T201


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "backend.settings"
    import django

    django.setup()
    {"web": web, "worker": worker, "export": export}[sys.argv[1]](sys.argv[2])


if __name__ == "__main__":
    main()
