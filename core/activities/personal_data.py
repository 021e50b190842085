"""Activities and comments: what they say of persons (core.personal_data)."""

from core.personal_data import (
    NUMBERS,
    AttachedRecords,
    Erasure,
    PersonalTable,
    attached_records,
    holds_none,
    personal_tables,
)

holds_none(NUMBERS, "core_activityrecord", "core_follow")

attached_records.register(
    "comment",
    AttachedRecords(
        "SELECT t.id FROM core_comment t JOIN {records} ON t.entity = p.entity AND t.object_id = p.id"
    ),
)
attached_records.register(
    "activity",
    AttachedRecords(
        "SELECT t.id FROM core_activity t JOIN {records} ON t.entity = p.entity AND t.object_id = p.id"
        " UNION SELECT f.activity_id FROM core_activityrecord f"
        " JOIN {records} ON f.entity = p.entity AND f.object_id = p.id",
        of_others="SELECT t.id FROM core_activity t WHERE t.id = ANY(%(attached)s) AND ("
        "NOT EXISTS (SELECT FROM {records} WHERE p.entity = t.entity AND p.id = t.object_id)"
        " OR EXISTS (SELECT FROM core_activityrecord f WHERE f.activity_id = t.id AND NOT EXISTS"
        " (SELECT FROM {records} WHERE p.entity = f.entity AND p.id = f.object_id)))",
    ),
)
personal_tables.register(
    "core_activity",
    PersonalTable(
        "activities",
        entity="activity",
        # An activity goes with its first record: a further one takes that place.
        handed_on="""
            WITH following AS (
                SELECT DISTINCT ON (f.activity_id) f.id, f.activity_id, f.entity, f.object_id
                FROM core_activityrecord f JOIN core_activity a ON a.id = f.activity_id
                WHERE a.id = ANY(%(pks)s)
                AND EXISTS (SELECT FROM {records} WHERE p.entity = a.entity AND p.id = a.object_id)
                AND NOT EXISTS (SELECT FROM {records} WHERE p.entity = f.entity AND p.id = f.object_id)
                ORDER BY f.activity_id, f.id
            ), moved AS (DELETE FROM core_activityrecord WHERE id IN (SELECT id FROM following))
            UPDATE core_activity a SET entity = n.entity, object_id = n.object_id
            FROM following n WHERE a.id = n.activity_id""",
        on_link=Erasure.EMPTY,
        emptied={"subject": "'[erased]'", "body": "''", "outcome": "''"},
    ),
)
personal_tables.register(
    "core_comment",
    PersonalTable("comments", entity="comment", on_link=Erasure.EMPTY, emptied={"body": "'[erased]'"}),
)
