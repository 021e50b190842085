"""Saved views: what they say of persons (core.personal_data)."""

from core.personal_data import PersonalTable, personal_tables

personal_tables.register("core_savedview", PersonalTable("saved views"))
