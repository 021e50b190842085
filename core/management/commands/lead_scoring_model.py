"""`manage.py lead_scoring_model`: see core.lead_scoring.commands.lead_scoring_model."""

from core.lead_scoring.commands.lead_scoring_model import Command

__all__ = ["Command"]
