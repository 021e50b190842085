from django.db import migrations


class Migration(migrations.Migration):
    """Counts by status, priority and type what there was before: in a transaction of its own, so that writing
    goes on."""

    dependencies = [
        ('tasks', '0015_counts_by_status'),
    ]

    operations = [
        # One at a time, with `check_record_counts --correct`: two at once would both count.
        migrations.RunSQL('SELECT pg_advisory_xact_lock(7313, 1259367355)', migrations.RunSQL.noop),
        migrations.RunSQL(
            """
            INSERT INTO core_recordcount (entity, owner_id, assigned_to_id, field, value, figure, amount)
            SELECT 'task', wrong.* FROM (
            SELECT owner_id, assigned_to_id, field, value, figure, sum(amount)::bigint AS amount FROM (
            WITH given AS (SELECT 1 AS sign, owner_id, assigned_to_id, tags, status, priority, task_type FROM tasks_task WHERE archived_at IS NULL), moved AS (
                SELECT owner_id, assigned_to_id, status, priority, task_type, sum(sign) AS number FROM given r
                GROUP BY owner_id, assigned_to_id, status, priority, task_type HAVING sum(sign) <> 0
            )
            SELECT coalesce(owner_id, 0) AS owner_id, coalesce(assigned_to_id, 0) AS assigned_to_id, field, value, figure,
                   sum(amount)::bigint AS amount
            FROM (
                SELECT m.owner_id, m.assigned_to_id, p.field, p.value, p.figure, p.amount
                FROM moved m CROSS JOIN LATERAL (VALUES ('', '', 'number', m.number), ('status', m.status, 'number', m.number), ('priority', m.priority, 'number', m.number), ('task_type', m.task_type, 'number', m.number)) AS p (field, value, figure, amount)
                UNION ALL
                SELECT r.owner_id, r.assigned_to_id, 'tags', t, 'number', r.sign
                FROM given r CROSS JOIN LATERAL unnest(r.tags) t
            ) AS counted
            GROUP BY 1, 2, 3, 4, 5 HAVING sum(amount) <> 0
                UNION ALL
                SELECT owner_id, assigned_to_id, field, value, figure, -amount FROM core_recordcount WHERE entity = 'task'
            ) AS compared
            GROUP BY owner_id, assigned_to_id, field, value, figure HAVING sum(amount) <> 0
            ) AS wrong;
            """,
            migrations.RunSQL.noop,
        ),
    ]
