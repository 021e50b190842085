"""Celery tasks of exchange rates."""

import logging

from celery import shared_task

from core.conf import conf
from core.currencies import fetching
from core.errors import ValueRefusedError

log = logging.getLogger(__name__)


@shared_task(name="core.tasks.fetch_exchange_rates")
def fetch_exchange_rates() -> int:
    """Store the day's rates of the source that EXCHANGE_RATE_SOURCE names; how many were new."""
    if not conf.EXCHANGE_RATE_SOURCE:
        return 0
    try:
        return fetching.fetch().written
    except (fetching.SourceError, ValueRefusedError) as error:
        log.warning("No exchange rates were fetched: %s", error)
        return 0
