"""Pipelines, their stages, and the deals that move through them."""

from opportunities.models.deal_contacts import ContactRole, OpportunityContact, role_in_words
from opportunities.models.deals import (
    ForecastCategory,
    Opportunity,
    OpportunityPending,
    OpportunityScore,
    OpportunityStatus,
)
from opportunities.models.pipelines import CERTAIN, KEY, PERCENT, LostReason, Pipeline, Stage

__all__ = [
    "CERTAIN",
    "KEY",
    "PERCENT",
    "ContactRole",
    "ForecastCategory",
    "LostReason",
    "Opportunity",
    "OpportunityContact",
    "OpportunityPending",
    "OpportunityScore",
    "OpportunityStatus",
    "Pipeline",
    "Stage",
    "role_in_words",
]
