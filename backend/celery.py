"""The Celery application: `celery -A backend worker`, `celery -A backend beat`."""

import os
from typing import Any

from celery import Celery, signals

from backend.launch import ensure_services, problems_as_a_sentence, refuse_unsafe_start

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")

app = Celery("backend")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.celeryd_init.connect
@signals.beat_init.connect
def prepare_process(**kwargs: Any) -> None:
    """Before a worker or beat takes up work: servers running, configuration fit to start with."""
    with problems_as_a_sentence():
        ensure_services()
        refuse_unsafe_start()
