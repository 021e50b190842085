"""What all entities share: what it says of persons (core.personal_data)."""

from core.personal_data import NUMBERS, SETTINGS, PersonalTable, holds_none, personal_tables

holds_none(SETTINGS, "core_fieldright", "core_customfield", "core_duplicaterule")
holds_none(NUMBERS, "core_assignmentturn")
holds_none("How many records have a tag: one that is erased there is counted no more.", "core_recordcount")
personal_tables.register("core_recordalias", PersonalTable("former ids of merged records"))
