"""Every table of core under one address: `from core.models import Workflow`.

The tables stand in the rooms that they belong to (`core.workflows.models`), which is where code inside this
project imports them from. Here stand what all records share: `record`, `fields`, `capture`.
"""

from typing import Any

from django.apps import apps


def __getattr__(name: str) -> Any:
    """The model of core that is called so."""
    try:
        return apps.get_model("core", name, require_ready=False)
    except LookupError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
