"""Currencies (ISO 4217), as a choice every amount's entity offers."""

from babel.numbers import list_currencies

from core.entities.kinds import Choice

CURRENCY = Choice(choices=tuple(sorted(list_currencies("en"))))
