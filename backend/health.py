"""Whether this process can do its work, for balancers and people.

`/livez`: the process answers. `/readyz`: it can serve requests (database reachable and migrated). `/healthz`:
the same with every part named. Valkey down is `degraded` and not a failure: requests are served without it.

They are answered by a middleware, before hosts are checked and HTTPS is asked for: a balancer asks each
machine by its address, over plain HTTP.
"""

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from core.workflows import work_turn

OK, DOWN, PENDING, LATE = "ok", "down", "pending", "late"


def database_state() -> str:
    """`ok` when a query is answered."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return DOWN
    return OK


def migrations_state() -> str:
    """`ok` when the database has every migration of this code, `pending` when not."""
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return DOWN
    return PENDING if plan else OK


def broker_state() -> str:
    """`ok` when Valkey answers."""
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as client:
            client.ping()
    except redis.RedisError:
        return DOWN
    return OK


# Beyond it somebody should look: workers may be alive and yet not working.
LATE_SECONDS = 60


def automation_state() -> str:
    """`ok` while changes and due workflow steps are taken up in time, `late` when not."""
    found = automation_lag()
    if not found:
        return DOWN
    ages = (found.get("oldest_due_step_s", 0), found.get("oldest_undispatched_change_s", 0))
    return LATE if max(ages) > LATE_SECONDS else OK


def automation_lag() -> dict[str, float | int]:
    """How far behind automation is; nothing while the database is away."""
    try:
        return work_turn.lag()
    except DatabaseError:
        return {}


REQUIRED: dict[str, Callable[[], str]] = {"database": database_state, "migrations": migrations_state}
WANTED: dict[str, Callable[[], str]] = {"broker": broker_state, "automation": automation_state}


def report() -> tuple[int, dict[str, object]]:
    """HTTP status and body: 503 when a required part is not `ok`."""
    required = {name: probe() for name, probe in REQUIRED.items()}
    wanted = {name: probe() for name, probe in WANTED.items()}
    able = all(state == OK for state in required.values())
    whole = able and all(state == OK for state in wanted.values())
    status = "ok" if whole else "degraded" if able else "unavailable"
    return (200 if able else 503), {"status": status, "checks": required | wanted}


@never_cache
@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": OK})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Whether a balancer should send requests here, the broker's state, and how far behind automation is."""
    status, body = report()
    shown = {"status": body["status"], "broker": broker_state(), "automation": automation_lag()}
    return JsonResponse(shown, status=status)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Every part by name."""
    status, body = report()
    return JsonResponse(body, status=status)


ANSWERS = {"/livez": livez, "/readyz": readyz, "/healthz": healthz}


class HealthMiddleware:
    """Answers the three addresses, with and without a slash at the end."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = ANSWERS.get(request.path_info.removesuffix("/"), self.get_response)
        return answer(request)
