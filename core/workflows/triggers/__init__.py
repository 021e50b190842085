"""What starts a run. Each trigger registers itself; entity apps add their own (see docs/automation.md)."""

from core.workflows.triggers.base import ChangeTrigger, Trigger, register, triggers
from core.workflows.triggers.schedule_triggers import DateTrigger

__all__ = ["ChangeTrigger", "DateTrigger", "Trigger", "register", "triggers"]
