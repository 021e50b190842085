"""Records that keep count of what was done about them: kept by triggers, through whatever door it came.

core names no entity: the app of an entity asks for it in a migration of its own,
`operations = [counts_activities("lead", "lead_management_lead", (…columns…))]`, naming those of COLUMNS that
its table has.
"""

from django.db import migrations

COLUMNS = ("last_contacted_at", "call_attempts", "engagement_count")

# Part of migrations that have run: to change it, write a migration with a new one.
# One function for all tables: what stands in TG_ARGV is the entity, its table, and its columns with commas.
# A statement counts what it added and takes away what it removed; an update does both. What moves to another
# record (conversion) counts there as well and stays counted where it happened.
_COUNTING = """
CREATE OR REPLACE FUNCTION @name() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted text[] := string_to_array(TG_ARGV[2], ',');
    sets text[] := '{}';
    parts text[] := '{}';
    added text := @added;
    removed text := @removed;
    stayed text := @stayed;
BEGIN
    IF 'last_contacted_at' = ANY(wanted) THEN
        sets := sets || 'last_contacted_at = greatest(t.last_contacted_at, d.contacted)'::text;
        parts := parts || 'd.contacted > coalesce(t.last_contacted_at, ''-infinity'')'::text;
    END IF;
    IF 'call_attempts' = ANY(wanted) THEN
        sets := sets || 'call_attempts = greatest(t.call_attempts + d.calls, 0)'::text;
        parts := parts || 'd.calls <> 0'::text;
    END IF;
    IF 'engagement_count' = ANY(wanted) THEN
        sets := sets || 'engagement_count = greatest(t.engagement_count + d.engagements, 0)'::text;
        parts := parts || 'd.engagements <> 0'::text;
    END IF;
    EXECUTE format(
        'UPDATE %I t SET %s FROM (
            SELECT object_id, max(happened_at) FILTER (WHERE type <> ''note'') AS contacted,
                   coalesce(sum(n) FILTER (WHERE type = ''call'' AND direction = ''outbound''), 0) AS calls,
                   coalesce(sum(n) FILTER (WHERE type <> ''note''), 0) AS engagements
            FROM (%s) AS a GROUP BY object_id
        ) d WHERE t.id = d.object_id AND (%s)',
        TG_ARGV[1], array_to_string(sets, ', '),
        CASE TG_OP WHEN 'INSERT' THEN added WHEN 'DELETE' THEN removed
                   ELSE added || ' UNION ALL ' || removed || stayed END,
        array_to_string(parts, ' OR ')
    ) USING TG_ARGV[0];
    RETURN NULL;
END $$
"""


def _counting(name: str, added: str, removed: str, stayed: str) -> str:
    """The function that counts what a statement added, less what it removed, but for what `stayed`."""
    parts = {"@name": name, "@added": added, "@removed": removed, "@stayed": stayed}
    text = _COUNTING
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


FUNCTION = _counting(
    "core_count_activities",
    "'SELECT object_id, type, direction, happened_at, 1 AS n FROM new_rows WHERE entity = $1'",
    """'SELECT object_id, type, direction, NULL::timestamptz AS happened_at, -1 AS n'
                    ' FROM old_rows o WHERE entity = $1'""",
    """' AND EXISTS (SELECT 1 FROM new_rows w WHERE w.id = o.id'
                   ' AND w.entity = o.entity AND w.object_id = o.object_id)'""",
)
# The same for what is further about a record (core_activityrecord): as it comes and goes, and where the
# activity itself changes. An activity is created before its further records and deleted after them.
FURTHER_FUNCTION = _counting(
    "core_count_further_activities",
    """CASE TG_TABLE_NAME WHEN 'core_activity' THEN
        'SELECT r.object_id, n.type, n.direction, n.happened_at, 1 AS n FROM new_rows n'
        ' JOIN core_activityrecord r ON r.activity_id = n.id WHERE r.entity = $1'
        ELSE 'SELECT r.object_id, a.type, a.direction, a.happened_at, 1 AS n FROM new_rows r'
        ' JOIN core_activity a ON a.id = r.activity_id WHERE r.entity = $1' END""",
    """CASE TG_TABLE_NAME WHEN 'core_activity' THEN
        'SELECT r.object_id, o.type, o.direction, NULL::timestamptz AS happened_at, -1 AS n FROM old_rows o'
        ' JOIN core_activityrecord r ON r.activity_id = o.id WHERE r.entity = $1'
        ELSE 'SELECT r.object_id, a.type, a.direction, NULL::timestamptz AS happened_at, -1 AS n'
        ' FROM old_rows r JOIN core_activity a ON a.id = r.activity_id WHERE r.entity = $1' END""",
    "''",
)
_TABLES = {
    "insert": "NEW TABLE AS new_rows",
    "update": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "OLD TABLE AS old_rows",
}


def counts_activities(entity: str, table: str, columns: tuple[str, ...]) -> migrations.RunSQL:
    """The migration operation that lets `table` keep those of COLUMNS that it has."""
    _check(columns)
    names = {operation: f"count_for_{entity}_{operation}" for operation in _TABLES}
    create = tuple(
        f"CREATE TRIGGER {name} AFTER {operation.upper()} ON core_activity REFERENCING {_TABLES[operation]}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION"
        f" core_count_activities('{entity}', '{table}', '{','.join(columns)}')"
        for operation, name in names.items()
    )
    drop = tuple(f"DROP TRIGGER IF EXISTS {name} ON core_activity" for name in names.values())
    return migrations.RunSQL(create, drop)


def counts_further_activities(entity: str, table: str, columns: tuple[str, ...]) -> migrations.RunSQL:
    """The migration operation that lets `table` count what is further about its records as well."""
    _check(columns)
    at = [(f"count_further_for_{entity}_{on}", "core_activityrecord", on) for on in _TABLES]
    at.append((f"count_further_for_{entity}", "core_activity", "update"))
    create = tuple(
        f"CREATE TRIGGER {name} AFTER {on.upper()} ON {watched} REFERENCING {_TABLES[on]}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION"
        f" core_count_further_activities('{entity}', '{table}', '{','.join(columns)}')"
        for name, watched, on in at
    )
    drop = tuple(f"DROP TRIGGER IF EXISTS {name} ON {watched}" for name, watched, _ in at)
    return migrations.RunSQL(create, drop)


def _check(columns: tuple[str, ...]) -> None:
    unknown = set(columns) - set(COLUMNS)
    if unknown:
        raise ValueError(f"unknown columns: {', '.join(sorted(unknown))}")
