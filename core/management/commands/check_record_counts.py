"""`manage.py check_record_counts`: see core.customization.commands.check_record_counts."""

from core.customization.commands.check_record_counts import Command

__all__ = ["Command"]
