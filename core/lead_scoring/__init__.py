"""Lead scoring: probabilities with reasons (docs/scoring.md)."""

from typing import Any

__all__ = ["LeadScoringEngine"]


def __getattr__(name: str) -> Any:
    """The engine needs Django's models; the mathematics beside it is importable without."""
    if name == "LeadScoringEngine":
        from core.lead_scoring.engine import LeadScoringEngine

        return LeadScoringEngine
    raise AttributeError(name)
