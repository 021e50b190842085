"""`manage.py retrain_lead_scoring`: see core.lead_scoring.commands.retrain_lead_scoring."""

from core.lead_scoring.commands.retrain_lead_scoring import Command

__all__ = ["Command"]
