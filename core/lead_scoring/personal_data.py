"""Lead scoring: what it says of persons (core.personal_data).

Scores go with their records; a model holds what it learned of all records and no rows of any.
"""

from core.personal_data import SETTINGS, PersonalTable, holds_none, personal_tables
from core.retention import RetainedTable, retained_tables

holds_none(SETTINGS, "core_barredfeature")
_LEARNED = "What a model learned of all records; its hash vouches for it."
personal_tables.register(
    "core_scoringmodel",
    PersonalTable("models", kept={"artefact": _LEARNED, "holdout_model": _LEARNED, "hash": _LEARNED}),
)
personal_tables.register("core_scoringrules", PersonalTable("rules of scoring"))
personal_tables.register("core_scoringjob", PersonalTable("jobs of scoring"))

retained_tables.register("core_scoringjob", RetainedTable("t.finished_at < %s", "JOB_DAYS"))
