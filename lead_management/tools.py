"""What AI clients may do with leads beside reading, creating and changing them."""

from core.agents.tools import Tool, register

register(
    Tool(
        "convert_lead",
        "Convert a lead",
        "Make a contact, its company and an opportunity of one lead, once.",
        "POST",
        "/api/v1/leads/{id}/convert/",
    )
)
