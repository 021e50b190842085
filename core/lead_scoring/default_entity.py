"""Whose scores are meant where nobody says: lead scoring began with leads."""

DEFAULT_ENTITY = "lead"
