"""`manage.py export_person`: see core.privacy.commands.export_person."""

from core.privacy.commands.export_person import Command

__all__ = ["Command"]
