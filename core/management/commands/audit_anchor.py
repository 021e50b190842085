"""`manage.py audit_anchor`: see core.audit.commands.audit_anchor."""

from core.audit.commands.audit_anchor import Command

__all__ = ["Command"]
