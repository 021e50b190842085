"""Global search: one question to the records of every entity."""
