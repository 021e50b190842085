"""Accounts are the staff's: no customers' data (core.personal_data)."""

from core.personal_data import STAFF, AddressColumns, address_columns, holds_none

holds_none(
    STAFF,
    "core_team",
    "core_user",
    "core_session",
    "core_apikey",
    "core_passwordmail",
    "core_secondfactor",
    "core_recoverycode",
    "core_externalidentity",
    "core_passkey",
    "core_provisioneduser",
    "core_provisionedgroup",
    "core_provisionedmember",
)
address_columns.register(
    "user", AddressColumns("core_user", ("email",), ("phone",), names=("first_name", "last_name"))
)
