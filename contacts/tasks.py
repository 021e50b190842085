"""Celery tasks about the companies of people."""

from celery import shared_task

from contacts import company_matching
from core.jobs import Turn


@shared_task(name="core.tasks.match_companies")
def match_companies() -> int:
    """Look for the companies of people by the domain of their e-mail address; how many people these were."""
    turn = Turn()
    matched = company_matching.match(turn)
    turn.go_on("core.tasks.match_companies")
    return matched


@shared_task(name="core.tasks.match_all_companies")
def match_all_companies() -> None:
    """Have all people looked at: what was written while the setting was off, or another one, shows by no
    change."""
    company_matching.match_all()
