"""`manage.py score_leads`: see core.lead_scoring.commands.score_leads."""

from core.lead_scoring.commands.score_leads import Command

__all__ = ["Command"]
