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
FUNCTION = """
CREATE OR REPLACE FUNCTION core_count_activities() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted text[] := string_to_array(TG_ARGV[2], ',');
    sets text[] := '{}';
    parts text[] := '{}';
    added text := 'SELECT object_id, type, direction, happened_at, 1 AS n FROM new_rows WHERE entity = $1';
    removed text := 'SELECT object_id, type, direction, NULL::timestamptz AS happened_at, -1 AS n'
                    ' FROM old_rows o WHERE entity = $1';
    stayed text := ' AND EXISTS (SELECT 1 FROM new_rows w WHERE w.id = o.id'
                   ' AND w.entity = o.entity AND w.object_id = o.object_id)';
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
_TABLES = {
    "insert": "NEW TABLE AS new_rows",
    "update": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "OLD TABLE AS old_rows",
}


def counts_activities(entity: str, table: str, columns: tuple[str, ...]) -> migrations.RunSQL:
    """The migration operation that lets `table` keep those of COLUMNS that it has."""
    unknown = set(columns) - set(COLUMNS)
    if unknown:
        raise ValueError(f"unknown columns: {', '.join(sorted(unknown))}")
    names = {operation: f"count_for_{entity}_{operation}" for operation in _TABLES}
    create = tuple(
        f"CREATE TRIGGER {name} AFTER {operation.upper()} ON core_activity REFERENCING {_TABLES[operation]}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION"
        f" core_count_activities('{entity}', '{table}', '{','.join(columns)}')"
        for operation, name in names.items()
    )
    drop = tuple(f"DROP TRIGGER IF EXISTS {name} ON core_activity" for name in names.values())
    return migrations.RunSQL(create, drop)
