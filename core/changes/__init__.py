"""Change capture as seen from Python: who acts, what happened to a record, and feeding it onwards."""

from core.changes.context import acting_as, current
from core.changes.dispatch import ChangeBatch, consumers

__all__ = ["ChangeBatch", "acting_as", "consumers", "current"]
