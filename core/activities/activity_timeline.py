"""Activities and comments on a record's timeline, and on their way to another record."""

from typing import Any

from django.db.models import Q, QuerySet

from core.activities import further_records
from core.activities.models import Activity, ActivityRecord, Comment
from core.api.schema.parts import of_columns
from core.changes.timeline import RecordRef, TimelineSource, register
from core.entities.relation_transfer import RelationMove, relation_movers

ACTIVITY_FIELDS = ("direction", "body", "outcome", "duration", "created_at")


def _of(model: Any, subject: RecordRef) -> QuerySet:
    """What hangs on the record; who sees the record sees it (AttachedPolicy)."""
    return model.objects.filter(entity=subject.entity.name, object_id=subject.pk)


def _activities(subject: RecordRef) -> list[QuerySet]:
    own = _of(Activity, subject)
    of_this = Q(entity=subject.entity.name, object_id=subject.pk)
    return [
        own,
        Activity.objects.filter(further_records.on_timeline(ActivityRecord, subject)).exclude(of_this),
    ]


def _comments(subject: RecordRef) -> QuerySet:
    return _of(Comment, subject)


def _shown_activity(row: Activity, subject: RecordRef) -> dict[str, Any]:
    data = {name: getattr(row, name) for name in ACTIVITY_FIELDS}
    return {"type": row.type, "title": row.subject, "data": data}


def _shown_comment(row: Comment, subject: RecordRef) -> dict[str, Any]:
    return {"type": "comment", "title": "commented", "data": {"body": row.body, "edited_at": row.edited_at}}


register(
    TimelineSource(
        "activity",
        _activities,
        _shown_activity,
        of_columns(Activity, *ACTIVITY_FIELDS),
        at="happened_at",
        actor="author_id",
        type="type",
        resource="activities",
    )
)
register(
    TimelineSource(
        "comment",
        _comments,
        _shown_comment,
        of_columns(Comment, "body", "edited_at"),
        at="created_at",
        actor="author_id",
        by_id=True,
        resource="comments",
    )
)


def _move(model: Any, move: RelationMove) -> int:
    (source, source_id), (target, target_id) = move.source, move.target
    rows = model.objects.filter(entity=source, object_id=source_id)
    return rows.update(entity=target, object_id=target_id)


def _move_activities(move: RelationMove) -> int:
    return _move(Activity, move) + further_records.move(ActivityRecord, move)


def _move_comments(move: RelationMove) -> int:
    return _move(Comment, move)


relation_movers.register("activities", _move_activities)
relation_movers.register("comments", _move_comments)
