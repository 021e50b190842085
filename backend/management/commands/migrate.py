"""`manage.py migrate`: Django's, as the role that owns the tables."""

from typing import Any

from django.core.management.commands import migrate

from backend import database_roles


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with database_roles.as_owner():
            super().handle(*args, **options)
            database_roles.note_retention()
        if warning := database_roles.grant():
            self.stderr.write(warning)
