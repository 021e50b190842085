"""The statements by which changes become notifications.

Each gives recipient_id, object_id, actor_id and what its title needs, of the changes %(ids)s (or %(matched)s,
%(watched)s of them) and their records %(objects)s.
"""

# Kinds of changes, changed columns and records of the changes %s.
FOUND = """
SELECT array_agg(DISTINCT c.kind), array_agg(DISTINCT k.key), array_agg(DISTINCT c.object_id)
FROM core_change c LEFT JOIN LATERAL jsonb_object_keys(c.changes) AS k (key) ON c.kind = 'updated'
WHERE c.id = ANY(%s)
"""

# A creation has no values: of a record that was changed later, the later change makes the notification.
ASSIGNED = """
SELECT DISTINCT ON (c.object_id) r.assigned_to_id AS recipient_id, c.object_id, c.actor_id, c.id AS change_id
FROM core_change c JOIN {table} r ON r.id = c.object_id AND r.id = ANY(%(objects)s)
WHERE c.id = ANY(%(ids)s) AND r.assigned_to_id IS NOT NULL AND r.archived_at IS NULL AND (
    (c.kind = 'updated' AND (c.changes->'assigned_to_id'->>1)::bigint = r.assigned_to_id)
    OR (c.kind = 'created' AND r.assigned_to_id IS DISTINCT FROM c.actor_id AND NOT EXISTS (
        SELECT 1 FROM core_change l WHERE l.entity = c.entity AND l.object_id = c.object_id AND l.id > c.id
        AND l.changes ? 'assigned_to_id')))
ORDER BY c.object_id, c.id DESC
"""

# One row for each of the record's recipients, however many of the lists they are in.
ANNOUNCED = """
SELECT who.user_id AS recipient_id, r.id AS object_id, e.actor_id, e.count
FROM (
    SELECT c.object_id, (array_agg(c.actor_id ORDER BY c.id DESC))[1] AS actor_id, count(*) AS count
    FROM core_change c WHERE c.id = ANY(%(matched)s) GROUP BY c.object_id
) e JOIN {table} r ON r.id = e.object_id AND r.id = ANY(%(objects)s)
CROSS JOIN LATERAL ({recipients}) AS who WHERE who.user_id IS NOT NULL
"""

CHANGED = """
SELECT f.user_id AS recipient_id, e.* FROM (
    SELECT c.object_id, (array_agg(c.actor_id ORDER BY c.id DESC))[1] AS actor_id, count(*) AS count,
           (array_agg(c.changes->%(column)s->>1 ORDER BY c.id DESC))[1] AS new
    FROM core_change c
    WHERE c.id = ANY(%(watched)s) AND c.kind = 'updated' AND c.changes ? %(column)s {crossing}
    GROUP BY c.object_id
) e JOIN core_follow f ON f.object_id = e.object_id
WHERE f.entity = %(entity)s AND f.object_id = ANY(%(objects)s)
"""

CROSSING = (
    "AND coalesce((c.changes->%(column)s->>0)::numeric, 0) <= %(above)s"
    " AND (c.changes->%(column)s->>1)::numeric > %(above)s"
)
