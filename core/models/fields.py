"""Model fields that every entity writes the same way: the database knows their defaults too."""

from collections.abc import Iterable
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models


def text(length: int, **options: Any) -> models.CharField:
    """An optional line of text that is never null."""
    return models.CharField(max_length=length, blank=True, default="", db_default="", **options)


def choice(choices: Iterable[tuple[str, Any]], default: str) -> models.CharField:
    """One of a closed set, never empty."""
    return models.CharField(max_length=20, choices=list(choices), default=default, db_default=default)


def email() -> models.EmailField:
    return models.EmailField(max_length=254, blank=True, default="", db_default="")


def url() -> models.URLField:
    return models.URLField(max_length=500, blank=True, default="", db_default="")


def prose() -> models.TextField:
    """Text of any length."""
    return models.TextField(blank=True, default="", db_default="")


def texts(base: models.Field) -> ArrayField:
    """A list of short texts."""
    return ArrayField(
        base, blank=True, default=list, db_default=models.Value([], ArrayField(models.TextField()))
    )


class Address(models.Model):
    """A postal address, as columns."""

    address = text(300)
    city = text(100)
    state = text(100)
    postal_code = text(20)
    country = text(100)

    class Meta:
        abstract = True


ADDRESS = ("address", "city", "state", "postal_code", "country")
