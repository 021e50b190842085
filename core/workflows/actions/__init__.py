"""What a workflow does. Each action registers itself; entity apps add their own (see docs/automation.md)."""

from core.workflows.actions import calls, flow, messages, records  # noqa: F401  (they register)
from core.workflows.actions.base import Action, Outcome, RecordAction, Step, actions, register

__all__ = ["Action", "Outcome", "RecordAction", "Step", "actions", "register"]
