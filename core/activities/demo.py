"""Demo activities: calls, e-mails, meetings and notes of those who sell, most of them of the last weeks."""

from datetime import timedelta
from typing import Any

from core.activities.models import Activity
from core.demo import Demo

BATCH = 500
KINDS = {
    # type: (weight, subjects, outcomes)
    Activity.Type.CALL: (
        5,
        ("Called back", "First call", "Asked about the budget"),
        ("reached", "no answer", ""),
    ),
    Activity.Type.EMAIL: (4, ("Sent the price list", "Answered questions", "Asked for a date"), ("",)),
    Activity.Type.MEETING: (
        2,
        ("Showed the product", "Met the team", "Talked about the contract"),
        ("held",),
    ),
    Activity.Type.NOTE: (1, ("Wants to decide this quarter", "Compares us with another vendor"), ("",)),
}
# One of the reps has logged nothing for so long.
QUIET = timedelta(days=9)


def add_activities(demo: Demo) -> str:
    """By the owners of the records; the last of the reps has logged nothing for a while."""
    found = [one for name in ("leads", "contacts", "opportunities") for one in demo.made.get(name, [])]
    quiet, before = demo.users["rep"][-1], demo.now - 2 * QUIET
    records = [one for one in found if one.owner_id and (one.owner_id != quiet.pk or one.created_at < before)]
    rows = [_activity(demo, demo.pick(records), quiet) for _ in range(demo.leads // 2 if records else 0)]
    Activity.objects.bulk_create(rows, batch_size=BATCH)
    return f"{len(rows)} activities"


def _activity(demo: Demo, record: Any, quiet: Any) -> Activity:
    kind = demo.pick(list(KINDS), [weight for weight, _subjects, _outcomes in KINDS.values()])
    _weight, subjects, outcomes = KINDS[kind]
    at = max(demo.past(45), record.created_at)
    if record.owner_id == quiet.pk:
        at = min(at, demo.now - QUIET)
    inbound = kind != Activity.Type.NOTE and demo.random.random() < 0.3
    return Activity(
        entity=record.entity_name,
        object_id=record.pk,
        type=kind,
        direction=Activity.Direction.INBOUND if inbound else Activity.Direction.OUTBOUND,
        subject=demo.pick(subjects),
        outcome=demo.pick(outcomes),
        duration=demo.random.randint(2, 45) * 60
        if kind in (Activity.Type.CALL, Activity.Type.MEETING)
        else None,
        happened_at=at,
        author=record.owner,
        created_at=at,
    )
