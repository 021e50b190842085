"""What must not be started: said by `manage.py check`, and refused at the start of every process."""

from collections.abc import Collection
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections

from backend.database_roles import owns_trail

SECRET_KEY_LENGTH = 50
WEAK_WORDS = ("django-insecure", "changeme", "change-me", "change me", "secret-key", "your-secret", "example")


def start_problems(configuration: Any = settings) -> list[str]:
    """One sentence for each reason not to start with this configuration; usually none."""
    problems = _debug_problems(configuration)
    if configuration.PRODUCTION:
        problems += _secret_problems("SECRET_KEY", configuration.SECRET_KEY)
        problems += _secret_problems("JWT_SIGNING_KEY", configuration.JWT_SIGNING_KEY)
        problems += _shared_key_problems(configuration)
        problems += _host_problems(configuration.ALLOWED_HOSTS)
    return problems


@register(Tags.security)
def check_start(**kwargs: object) -> list[CheckMessage]:
    """The problems as errors of Django's check framework."""
    return [Error(problem, id="backend.E001") for problem in start_problems()]


@register(Tags.security, Tags.database, deploy=True)
def check_roles(databases: Collection[str] | None = None, **kwargs: object) -> list[CheckMessage]:
    """A word where the processes run as a role that may do anything to the change table. Asks the database,
    where `check` is given one (`--database default`)."""
    if "default" not in (databases or ()):
        return []
    connection = connections["default"]
    with connection.cursor() as cursor:
        if not owns_trail(cursor, connection.settings_dict["USER"]):
            return []
    return [
        Warning(
            "The processes may change and delete the audit trail: they run as the role that owns the tables.",
            hint="Name the owner in DATABASE_MIGRATION_URL and a role of its own in DATABASE_URL.",
            id="backend.W001",
        )
    ]


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine and is reached from nowhere else."""
    bare = host.strip("[]")
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False


def _debug_problems(configuration: Any) -> list[str]:
    if not configuration.DEBUG:
        return []
    if configuration.PRODUCTION:
        return ["DEBUG must be off in production: it shows settings and source to anyone who finds an error."]
    strangers = [host for host in configuration.ALLOWED_HOSTS if not is_loopback(host)]
    if strangers:
        return [
            f"DEBUG must be off when others can reach this server, and ALLOWED_HOSTS names {strangers[0]}."
        ]
    return []


def _secret_problems(name: str, value: str) -> list[str]:
    lowered = value.lower()
    if any(word in lowered for word in WEAK_WORDS):
        return [f"{name} is an example: set a random one."]
    if len(value) < SECRET_KEY_LENGTH or len(set(value)) < 10:
        return [f"{name} is too short or too plain: set at least {SECRET_KEY_LENGTH} random characters."]
    return []


def _shared_key_problems(configuration: Any) -> list[str]:
    if configuration.JWT_SIGNING_KEY != configuration.SECRET_KEY:
        return []
    return ["JWT_SIGNING_KEY must not be SECRET_KEY: what signs tokens signs nothing else."]


def _host_problems(hosts: list[str]) -> list[str]:
    if not hosts:
        return ["ALLOWED_HOSTS must name the hosts that this server answers for."]
    if "*" in hosts:
        return ["ALLOWED_HOSTS must not be *: name the hosts that this server answers for."]
    return []
