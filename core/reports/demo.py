"""Demo goals: what each rep and each team is to win this month and this quarter."""

from core.accounts.models import Team
from core.conf import conf
from core.demo import Demo
from core.reports.models import Goal
from core.reports.periods import Unit, first_day

REP, TEAM = 40_000, 90_000


def add_goals(demo: Demo) -> str:
    """An amount for each rep, and for each team of reps an amount and a number."""
    today = demo.now.date()
    month, quarter = first_day(today, Unit.MONTH), first_day(today, Unit.QUARTER)
    currency = conf.DEFAULT_CURRENCY
    goals = [
        Goal(user=rep, period=Unit.MONTH, start=month, target=REP, currency=currency)
        for rep in [*demo.users["rep"], *demo.users["manager"]]
    ]
    for team in Team.objects.filter(members__in=demo.users["rep"]).distinct().order_by("id"):
        goals += [
            Goal(team=team, period=Unit.MONTH, start=month, target=TEAM, currency=currency),
            Goal(team=team, period=Unit.QUARTER, start=quarter, target=20, metric=Goal.Metric.COUNT),
        ]
    made = Goal.objects.bulk_create(goals, ignore_conflicts=True)
    return f"{len(made)} goals"
