"""`manage.py import_csv`: see core.transfer.commands.import_csv."""

from core.transfer.commands.import_csv import Command

__all__ = ["Command"]
