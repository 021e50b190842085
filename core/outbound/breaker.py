"""A circuit breaker for each channel and host, shared by all workers through PostgreSQL.

A server that is away costs one attempt in a while, and not one for each message that waits for it: while
its breaker is open nothing is claimed for it, so no message uses up its attempts. When the time is over one
worker tries again; the first success closes the breaker.
"""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from core.outbound.models import CircuitBreaker

FIRST_S, FACTOR, LONGEST_S = 15, 2, 600

# Failures while it is open are those of attempts that had begun before: the outage is counted once.
_FAILED = """
INSERT INTO core_circuitbreaker AS b (name, failures, open_until)
VALUES (%(name)s, 1, clock_timestamp() + make_interval(secs => %(first)s))
ON CONFLICT (name) DO UPDATE SET
    failures = b.failures + (b.open_until <= clock_timestamp())::int,
    open_until = CASE WHEN b.open_until > clock_timestamp() THEN b.open_until
        ELSE clock_timestamp()
            + make_interval(secs => least(%(first)s * %(factor)s ^ b.failures, %(longest)s))
    END
RETURNING open_until
"""


def failed(name: str) -> datetime:
    """The server could not be reached: leave it alone, longer each time. Returns until when."""
    given: dict[str, Any] = {"name": name[:300], "first": FIRST_S, "factor": FACTOR, "longest": LONGEST_S}
    with connection.cursor() as cursor:
        cursor.execute(_FAILED, given)
        return cursor.fetchone()[0]


def succeeded(name: str) -> None:
    """The server answered."""
    CircuitBreaker.objects.filter(name=name[:300]).delete()


def is_open(name: str) -> bool:
    """Whether the server is to be left alone now."""
    return CircuitBreaker.objects.filter(name=name[:300], open_until__gt=Now()).exists()


def states() -> dict[str, bool]:
    """Every server that could not be reached of late, and whether it is to be left alone now."""
    is_open = ExpressionWrapper(Q(open_until__gt=Now()), output_field=BooleanField())
    return dict(CircuitBreaker.objects.values_list("name").annotate(is_open=is_open))


def open_names() -> set[str]:
    """The channels with hosts that are to be left alone now."""
    return {name for name, is_open in states().items() if is_open}


def mail_server() -> str:
    """The name of the mail server's breaker."""
    return f"email:{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
