"""Exchange rates by day."""

from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from core.access import Permission, ReadAllPolicy, VisibleManager
from core.conf import conf
from core.errors import ConflictError
from core.models.capture import captured
from core.models.fields import choice
from core.models.money import RATE_DIGITS, RATE_PLACES

SMALLEST = Decimal(1).scaleb(-RATE_PLACES)
# Of a stored rate: what it is the rate of.
FIXED = ("currency", "date")


def base_currency() -> str:
    """The organisation's currency, which rates are given in."""
    return conf.DEFAULT_CURRENCY


class ExchangeRate(models.Model):
    """How much of `base`, the organisation's currency, one unit of `currency` costs from `date` on.

    `rate` is what open amounts count by, `closing_rate` what those closed from that day on do: it stays as it
    was when the rate is changed. A rate that came too late for the days it would count for has none.
    """

    class Source(models.TextChoices):
        MANUAL = "manual", gettext_lazy("Manual")
        IMPORT = "import", pgettext_lazy("noun", "Import")
        FEED = "feed", gettext_lazy("Feed")

    policy = ReadAllPolicy(write=Permission.CONFIGURE)

    base = models.CharField(max_length=3, default=base_currency, editable=False)
    currency = models.CharField(max_length=3)
    date = models.DateField()
    rate = models.DecimalField(
        max_digits=RATE_DIGITS, decimal_places=RATE_PLACES, validators=[MinValueValidator(SMALLEST)]
    )
    closing_rate = models.DecimalField(
        max_digits=RATE_DIGITS, decimal_places=RATE_PLACES, null=True, editable=False
    )
    source = choice(Source.choices, Source.MANUAL)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    objects = VisibleManager()

    class Meta:
        ordering = ["-date", "currency"]
        constraints = [
            models.UniqueConstraint(fields=["base", "currency", "date"], name="exchange_rate_unique"),
            models.CheckConstraint(condition=models.Q(rate__gt=0), name="exchange_rate_positive"),
            models.CheckConstraint(
                condition=~models.Q(currency=models.F("base")), name="exchange_rate_of_another"
            ),
        ]
        triggers = captured("exchange_rate", untracked=("created_at", "updated_at"))

    def __str__(self) -> str:
        return f"1 {self.currency} = {self.rate.normalize():f} {self.base} ({self.date})"

    def clean(self) -> None:
        """The organisation's own currency has no rate, and a stored one stays that of its day."""
        super().clean()
        if self.currency == self.base:
            message = _("%(base)s is what rates are given in.") % {"base": self.base}
            raise ValidationError({"currency": message}, code="base_currency")
        before = ExchangeRate.objects.filter(pk=self.pk).first() if self.pk else None
        changed = [name for name in FIXED if before and getattr(before, name) != getattr(self, name)]
        if changed:
            message = _("A rate is that of its currency and day: add another one.")
            raise ValidationError(dict.fromkeys(changed, message), code="fixed")

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises ConflictError where closed amounts may count by it."""
        if self.closing_rate is not None:
            message = _("Closed amounts may count by this rate; delete it with restates_closed=true.")
            raise ConflictError(message, code="restates_closed")
        return super().delete(*args, **kwargs)
