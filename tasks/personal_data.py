"""Tasks: what they hold of persons (core.personal_data)."""

from core.personal_data import (
    NUMBERS,
    STAFF,
    AttachedRecords,
    Erasure,
    PersonalTable,
    attached_records,
    holds_none,
    personal_tables,
)

attached_records.register(
    "task",
    AttachedRecords(
        "SELECT t.id FROM tasks_task t JOIN {records} ON (p.entity = 'lead' AND t.lead_id = p.id)"
        " OR (p.entity = 'contact' AND t.contact_id = p.id)"
        " OR (p.entity = 'opportunity' AND t.opportunity_id = p.id)"
        " UNION SELECT r.task_id FROM tasks_taskrecord r JOIN {records}"
        " ON r.entity = p.entity AND r.object_id = p.id",
        of_others="SELECT t.id FROM tasks_task t WHERE t.id = ANY(%(attached)s) AND ("
        "t.company_id IS NOT NULL OR t.opportunity_id IS NOT NULL"
        " OR (t.lead_id IS NOT NULL AND NOT EXISTS"
        " (SELECT FROM {records} WHERE p.entity = 'lead' AND p.id = t.lead_id))"
        " OR (t.contact_id IS NOT NULL AND NOT EXISTS"
        " (SELECT FROM {records} WHERE p.entity = 'contact' AND p.id = t.contact_id))"
        " OR EXISTS (SELECT FROM tasks_taskrecord r WHERE r.task_id = t.id AND NOT EXISTS"
        " (SELECT FROM {records} WHERE p.entity = r.entity AND p.id = r.object_id)))",
    ),
)
personal_tables.register(
    "tasks_task",
    PersonalTable(
        "tasks",
        entity="task",
        on_link=Erasure.EMPTY,
        emptied={
            "title": "'[erased]'",
            "description": "''",
            "outcome": "''",
            "custom_fields": "'{}'",
            "series_values": "'{}'",
        },
    ),
)
holds_none(NUMBERS, "tasks_taskrecord")
holds_none(STAFF, "tasks_calendarfeed")
