"""What AI clients may do with tasks beside reading, creating and changing them."""

from core.agents.tools import Tool, register

register(
    Tool(
        "complete_task",
        "Complete a task",
        "Mark one task as done, with what came of it; of a series, the next occurrence is made.",
        "POST",
        "/api/v1/tasks/{id}/complete/",
    )
)
