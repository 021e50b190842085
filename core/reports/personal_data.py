"""Goals hold no persons' data (core.personal_data)."""

from core.personal_data import NUMBERS, holds_none

holds_none(NUMBERS, "core_goal")
