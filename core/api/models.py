"""Answers kept so that a repeated request is answered and not carried out again."""

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from core import jobs
from core.conf import conf
from core.jobs import Turn


class IdempotencyKey(models.Model):
    """One `Idempotency-Key` of one user on one route. Written in the request's own transaction: a request
    that fails leaves no row, so its repetition really runs."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    route = models.CharField(max_length=300)
    fingerprint = models.CharField(max_length=64)
    status = models.SmallIntegerField()
    body = models.BinaryField()
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "route", "key"], name="idempotency_key_once"),
        ]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"


def forget_old(turn: Turn) -> int:
    """Delete keys past their time, until the turn is over; returns how many."""
    limit = timezone.now() - timedelta(hours=conf.IDEMPOTENCY_HOURS)
    return jobs.delete(IdempotencyKey.objects.filter(created_at__lt=limit), turn)
