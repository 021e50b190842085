"""Demo shares: a few records of each kind with a colleague, and the first manager's view with a team."""

from datetime import timedelta

from core.accounts.models import Team
from core.conditions.models import SavedView
from core.demo.parts import Demo
from core.entities import entities
from core.sharing.models import Share
from core.sharing.operations import Grant, is_theirs, share_many

RECORDS = 3


def add_shares(demo: Demo) -> str:
    """To read for a while with one colleague, to change with a team."""
    before = Share.objects.count()
    team = Team.objects.filter(members__in=demo.users["rep"]).order_by("id").first()
    for entity in entities:
        records = entity.model.objects.filter(archived_at=None, owner__isnull=False).order_by("id")[:RECORDS]
        for record in records:
            grant = Grant(user=demo.seller(), expires_at=demo.now + timedelta(days=30))
            if not is_theirs(record, grant):
                share_many(entity.name, [record.pk], grant, record.owner)
        if team is not None and records:
            share_many(
                entity.name, [records[0].pk], Grant(team=team, access=Share.Access.WRITE), records[0].owner
            )
    view = SavedView.objects.filter(owner=demo.users["manager"][0]).order_by("id").first()
    if view is not None and team is not None:
        share_many(SavedView.entity_name, [view.pk], Grant(team=team, access=Share.Access.WRITE), view.owner)
    return f"{Share.objects.count() - before} shares"
