"""`manage.py evaluate_lead_scoring`: see core.lead_scoring.commands.evaluate_lead_scoring."""

from core.lead_scoring.commands.evaluate_lead_scoring import Command

__all__ = ["Command"]
