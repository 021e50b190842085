"""Workflows: what they say of persons (core.personal_data)."""

from core.personal_data import NUMBERS, PersonalTable, holds_none, personal_tables
from core.retention import RetainedTable, retained_tables

holds_none(NUMBERS, "core_roundrobinstate")
_HOOK = {"hook_key": "The address of an inbound webhook.", "hook_secret": "Sealed."}
personal_tables.register("core_workflow", PersonalTable("workflows", kept=_HOOK))
personal_tables.register(
    "core_workflowversion",
    PersonalTable("versions of workflows", ignored_triggers=("core.WorkflowVersion:immutable",)),
)
personal_tables.register(
    "core_workflowexecution",
    PersonalTable("runs of workflows", children=(("core_workflowstep", "execution_id"),)),
)
personal_tables.register(
    "core_workflowstep",
    PersonalTable(
        "steps of runs",
        related="t.execution_id IN (SELECT e.id FROM core_workflowexecution e JOIN {records}"
        " ON e.entity = p.entity AND e.object_id = p.id)",
    ),
)

retained_tables.register(
    "core_workflowexecution",
    RetainedTable(
        "t.status NOT IN ('queued', 'running', 'waiting', 'held') AND t.finished_at < %s",
        "RUN_DAYS",
        children=(("core_workflowstep", "execution_id"),),
    ),
)
