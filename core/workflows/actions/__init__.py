"""What a workflow does. Every module here registers its actions; entity apps add their own.

docs/development/automation.md shows how.
"""

from importlib import import_module
from pkgutil import iter_modules

from core.workflows.actions.base import Action, RecordAction, Step, StepResult, actions, register

__all__ = ["Action", "RecordAction", "Step", "StepResult", "actions", "register"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
