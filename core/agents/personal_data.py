"""AI clients: what their sessions say of persons (core.personal_data)."""

from core.personal_data import STAFF, PersonalTable, holds_none, personal_tables
from core.retention import RetainedTable, retained_tables

holds_none(STAFF, "core_agentclient", "core_agentgrant", "core_agentcode", "core_agenttoken")
personal_tables.register("core_agentsession", PersonalTable("sessions of AI clients"))

retained_tables.register("core_agentsession", RetainedTable("t.last_used_at < %s", "AGENT_SESSION_DAYS"))
