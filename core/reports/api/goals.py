"""/api/v1/goals/: what users and teams are to win."""

from typing import Any

from django.utils.translation import gettext as _

from core.api.resources import ResourceViewSet, StrictSerializer
from core.entities.field_types import Money
from core.errors import InvalidError
from core.reports.models import Goal


class GoalSerializer(StrictSerializer):
    """A target of a user or a team for a month or a quarter: an amount in a currency, or a count of won
    records."""

    target = Money(max_digits=17, decimal_places=4)

    class Meta:
        model = Goal
        fields = ["id", "user", "team", "period", "start", "metric", "target", "currency", "created_at"]

    def to_representation(self, instance: Goal) -> dict[str, Any]:
        return {**super().to_representation(instance), "target": f"{instance.whole_target:f}"}

    def check(self, wanted: Goal) -> None:
        """Raises InvalidError where it is for somebody whom its writer does not reach."""
        check_reach(self.context["request"].user, wanted)


def check_reach(user: Any, goal: Goal) -> None:
    """Raises InvalidError where the user may not set this goal."""
    if not Goal.policy.reaches(user, goal):
        field = "user" if goal.user_id is not None else "team"
        raise InvalidError.of(field, _("Not of your team or one below it."), "out_of_reach")


class GoalViewSet(ResourceViewSet):
    """Goals: administrators and managers, for their teams, write them; others read their own."""

    model = Goal
    queryset = Goal.objects.all()
    serializer_class = GoalSerializer
    filterset_fields = ("user", "team", "period", "start", "metric", "currency")
    ordering_fields = ("start", "target", "created_at", "id")
