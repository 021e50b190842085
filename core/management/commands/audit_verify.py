"""`manage.py audit_verify`: see core.audit.commands.audit_verify."""

from core.audit.commands.audit_verify import Command

__all__ = ["Command"]
