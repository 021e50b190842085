"""Change capture as seen from Python: who acts, what happened to a record, and feeding it onwards."""

from core.changes.context import audit_context, current_audit_context
from core.changes.dispatch import ChangeBatch, consumers

__all__ = ["ChangeBatch", "audit_context", "consumers", "current_audit_context"]
