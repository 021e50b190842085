"""What is kept about machines of others that could not be reached."""

from django.db import models
from django.db.models.functions import Now


class CircuitBreaker(models.Model):
    """A server that could not be reached: until `open_until` nobody tries it, whichever process they are in.

    `name` is the channel with the host ("email:smtp.example:587"). The row goes with the first success.
    """

    name = models.CharField(max_length=300, unique=True)
    failures = models.IntegerField(default=1)
    open_until = models.DateTimeField(db_default=Now())

    class Meta:
        app_label = "core"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
