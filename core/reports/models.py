"""Goals: what a user or a team is to win within a month or a quarter."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from core.access import Permission, Policy, Role, VisibleManager, role_allows, role_of
from core.accounts.team_sql import subtree_ids
from core.entities.money import CURRENCY
from core.models.capture import captured
from core.models.fields import text
from core.models.money import AmountField, decimal_places, rounded, rounds_amount
from core.reports.periods import Unit, first_day

WRITERS = (Role.ADMIN, Role.MANAGER)


class GoalPolicy(Policy):
    """Administrators and, for whom they reach, managers write goals; viewers read as managers do, reps their
    own."""

    def rows(self, user: Any, action: str) -> Q:
        role = role_of(user)
        if role == Role.ADMIN:
            return Q()
        if role == Role.REP:
            return Q(user=user.pk)
        teams = subtree_ids(user.team_id) if user.team_id else []
        return Q(user__in=user.reach_ids()) | Q(team__in=teams)

    def scope(self, user: Any, action: str = Permission.VIEW) -> Q:
        return super().scope(user, action) if self.allows(user, action) else Q(pk__in=[])

    def allows(self, user: Any, action: str) -> bool:
        if action == Permission.VIEW:
            return role_allows(user, action)
        return role_of(user) in WRITERS

    def reaches(self, user: Any, goal: Any) -> bool:
        """Whether the user may set a goal for those that it is for."""
        if role_of(user) == Role.ADMIN:
            return True
        if goal.user_id is not None:
            return goal.user_id in user.reach_ids()
        return user.team_id is not None and goal.team_id in subtree_ids(user.team_id)


class Goal(models.Model):
    """An amount in one currency, or a number of records, to be won from `start` on, within its period."""

    policy = GoalPolicy()

    class Period(models.TextChoices):
        MONTH = Unit.MONTH.value
        QUARTER = Unit.QUARTER.value

    class Metric(models.TextChoices):
        AMOUNT = "amount", gettext_lazy("Amount")
        COUNT = "count", gettext_lazy("Count")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="goals"
    )
    team = models.ForeignKey("core.Team", models.CASCADE, null=True, blank=True, related_name="goals")
    period = models.CharField(max_length=10, choices=Period.choices, default=Period.MONTH)
    start = models.DateField(help_text="The first day of the month or quarter.")
    metric = models.CharField(max_length=10, choices=Metric.choices, default=Metric.AMOUNT)
    target = AmountField(max_digits=17, decimal_places=4)
    currency = text(3, help_text="Of an amount; a count has none.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    objects = VisibleManager()

    class Meta:
        ordering = ["-start", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=True, team__isnull=False) | Q(user__isnull=False, team__isnull=True),
                name="goal_of_user_or_team",
            ),
            models.CheckConstraint(condition=Q(target__gt=0), name="goal_target_positive"),
            models.UniqueConstraint(
                fields=["user", "period", "start", "metric", "currency"],
                name="goal_of_user_unique",
                condition=Q(user__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["team", "period", "start", "metric", "currency"],
                name="goal_of_team_unique",
                condition=Q(team__isnull=False),
            ),
        ]
        triggers = [*captured("goal", untracked=("created_at",)), rounds_amount("target")]

    def __str__(self) -> str:
        return f"{self.user or self.team}: {self.target} {self.currency or self.metric} from {self.start}"

    @property
    def whole_target(self) -> Decimal:
        """The target with the decimal places that it is read with: those of its currency, none of a count."""
        return (
            Decimal(int(self.target))
            if self.metric == self.Metric.COUNT
            else rounded(self.target, self.currency)
        )

    def clean(self) -> None:
        super().clean()
        wrong = dict(self._wrong())
        if wrong:
            raise ValidationError(
                {name: ValidationError(text, code="invalid") for name, text in wrong.items()}
            )

    def _wrong(self) -> Any:
        """(field, what is wrong with it)."""
        if (self.user_id is None) == (self.team_id is None):
            yield "user", _("A goal is for a user or for a team.")
        if self.start is not None and self.start != first_day(self.start, self.period):
            yield (
                "start",
                _("Expected the first day of a quarter.")
                if self.period == self.Period.QUARTER
                else _("Expected the first day of a month."),
            )
        if self.metric == self.Metric.COUNT and self.currency:
            yield "currency", _("A count has no currency.")
        if self.metric == self.Metric.AMOUNT and not self.currency:
            yield "currency", _("An amount has a currency.")
        elif self.currency and self.currency not in CURRENCY.choices:
            yield "currency", _("Expected a currency of ISO 4217.")
        if self.target is not None:
            yield from self._wrong_target(self.target)

    def _wrong_target(self, target: Decimal) -> Any:
        if target <= 0:
            yield "target", _("Expected more than zero.")
        elif self.metric == self.Metric.COUNT and target != int(target):
            yield "target", _("Expected a whole number.")
        elif self.currency and rounded(target, self.currency) != target:
            yield (
                "target",
                _("%(currency)s has %(decimal_places)s decimal places.")
                % {
                    "currency": self.currency,
                    "decimal_places": decimal_places(self.currency) or pgettext("decimal places", "no"),
                },
            )
