"""The one list of core's feature rooms, lowest first. Needs no Django, so that settings can read it too.

Each is a package `core/<name>/` with all that is its own: `models.py`, `registration.py` (what it registers
at start-up), `tasks.py`, `admin.py`, `api/`, `templates/`, `tests/`. import-linter holds this order
(pyproject.toml): a feature imports only what stands before it.
"""

from importlib import import_module
from importlib.util import find_spec

FEATURES = (
    "accounts",
    "sharing",
    "currencies",
    "customization",
    "audit",
    "activities",
    "search",
    "duplicates",
    "notifications",
    "mail",
    "webhooks",
    "workflows",
    "lead_scoring",
    "transfer",
    "reports",
    "agents",
    "privacy",
)

# Packages of the foundation that have tables of their own.
FOUNDATION_WITH_TABLES = ("outbound", "entities", "conditions", "changes", "api")


def import_room(room: str, module: str) -> None:
    """Import `core.<room>.<module>` where there is one."""
    name = f"core.{room}.{module}"
    if find_spec(name) is not None:
        import_module(name)
