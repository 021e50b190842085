"""`manage.py erase_person`: see core.privacy.commands.erase_person."""

from core.privacy.commands.erase_person import Command

__all__ = ["Command"]
