"""How long one statement may take, by the kind of work a process does.

The limit is a parameter of each connection that the process opens from then on: it costs no statement, and
the server ends what takes longer. What a request writes has a longer one (core.api.transactions), what people
run by hand has none. A pooler in transaction mode takes no such parameter; there the role has the limit.
"""

from django.conf import settings

from backend.postgresql.base import DatabaseWrapper


def for_requests() -> None:
    """This process answers requests."""
    DatabaseWrapper.statement_seconds = settings.DATABASE_READ_TIMEOUT


def for_jobs() -> None:
    """This process works off queues."""
    DatabaseWrapper.statement_seconds = settings.DATABASE_JOB_TIMEOUT
