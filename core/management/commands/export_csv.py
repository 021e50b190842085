"""`manage.py export_csv`: see core.transfer.commands.export_csv."""

from core.transfer.commands.export_csv import Command

__all__ = ["Command"]
