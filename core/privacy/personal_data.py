"""Requests themselves, and the tables of Django and other packages (core.personal_data)."""

from core.personal_data import (
    SETTINGS,
    STAFF,
    Erasure,
    PersonalTable,
    holds_none,
    kept_by_law,
    personal_tables,
)
from core.retention import RetainedTable, retained_tables

holds_none(
    "Who is asked for is forgotten when a request ends, and with it by other requests about the same person.",
    "core_privacyrequest",
)
kept_by_law.register(
    "core_privacyrequest",
    "That somebody was erased, when, at whose request and how many rows it took; not who.",
)
_LOGGED = (
    "EXISTS (SELECT FROM {records} JOIN django_content_type y ON y.model = replace(p.entity, '_', '')"
    " WHERE y.id = t.content_type_id AND t.object_id = p.id::text)"
)
personal_tables.register(
    "django_admin_log",
    PersonalTable(
        "what was done in the admin site",
        linked=_LOGGED,
        related=_LOGGED,
        json_texts=("change_message",),
        on_link=Erasure.EMPTY,
        emptied={"object_repr": "'[erased]'", "change_message": "''"},
    ),
)
holds_none(
    STAFF,
    "django_session",
    "auth_group",
    "auth_permission",
    "core_user_groups",
    "core_user_user_permissions",
)
holds_none(
    SETTINGS,
    "django_content_type",
    "django_migrations",
    "django_celery_beat_clockedschedule",
    "django_celery_beat_crontabschedule",
    "django_celery_beat_intervalschedule",
    "django_celery_beat_periodictask",
    "django_celery_beat_solarschedule",
)

retained_tables.register("django_admin_log", RetainedTable("t.action_time < %s", "ADMIN_LOG_DAYS"))
retained_tables.register(
    "django_session", RetainedTable("t.expire_date < %s", "ADMIN_SESSION_DAYS", key="session_key")
)
