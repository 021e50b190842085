"""`manage.py seed_demo`: the same data for the same seed, in every stage, and only where it is safe."""

import pytest
from django.core.management import CommandError, call_command

from core.models import Outbox, User
from lead_management.models import Lead
from opportunities.models import Opportunity, Stage
from opportunities.operations import stage_history
from opportunities.registration import OPPORTUNITY
from tasks.models import Task

pytestmark = pytest.mark.django_db


@pytest.fixture
def seed(settings, capsys):
    settings.DEBUG = True
    return lambda **options: call_command("seed_demo", leads=60, **options)


def test_every_part_of_the_crm_has_something_to_show(seed):
    seed()
    assert Lead.objects.count() == 60
    assert set(Opportunity.objects.values_list("status", flat=True)) == {"open", "won", "lost"}
    assert Task.objects.overdue().exists()
    assert set(User.objects.values_list("role", flat=True)) == {"manager", "rep", "viewer"}
    assert User.objects.get(username="rep").check_password("password")


def test_deals_have_a_history_of_stages(seed):
    seed()
    won = Opportunity.objects.filter(status="won").first()
    passed = [entry["stage"] for entry in stage_history(OPPORTUNITY, won)]
    assert passed == ["prospecting", "qualification", "proposal", "negotiation", "closed_won"]
    assert {stage.key for stage in Stage.objects.all()} >= set(passed)


def test_one_seed_gives_the_same_leads_and_another_gives_others(seed):
    seed(seed=7)
    first = list(Lead.objects.order_by("id").values_list("email", flat=True))
    seed(seed=7)
    again = list(Lead.objects.order_by("id").values_list("email", flat=True))
    assert again == first + first
    seed(seed=8)
    assert list(Lead.objects.order_by("id").values_list("email", flat=True)[120:]) != first


def test_no_workflow_is_asked_to_run_for_demo_data(seed):
    seed()
    records = Outbox.objects.filter(entity__in=("lead", "contact", "company", "opportunity", "task"))
    assert set(records.values_list("automation", flat=True)) == {False}


def test_known_passwords_are_for_development_only(settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="known password"):
        call_command("seed_demo")
    assert not User.objects.exists()
