"""Notifications: what they say of persons (core.personal_data)."""

from core.personal_data import STAFF, PersonalTable, holds_none, personal_tables

holds_none(
    STAFF,
    "core_notificationpreference",
    "core_pushsubscription",
    "core_pushkey",
    # Addresses of users that refused their notifications.
    "core_suppressedaddress",
)
personal_tables.register(
    "core_notification",
    PersonalTable("notifications", children=(("core_delivery", "notification_id"),)),
)
personal_tables.register("core_delivery", PersonalTable("deliveries of notifications"))
