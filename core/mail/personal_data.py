"""Mail: what it says of persons (core.personal_data)."""

from core.personal_data import PersonalTable, personal_tables
from core.retention import RetainedTable, retained_tables

personal_tables.register("core_emailtemplate", PersonalTable("templates of mail"))
personal_tables.register(
    "core_emailmessage",
    PersonalTable(
        "mail, sent and waiting",
        address_lists=("to", "cc", "bcc", "done"),
        # What goes to the person alone; others' copies of a mail to several are theirs.
        linked="(cardinality(t.to || t.cc || t.bcc) = 1"
        " AND lower((t.to || t.cc || t.bcc)[1]) = ANY(%(addresses)s))",
    ),
)

retained_tables.register(
    "core_emailmessage", RetainedTable("t.status <> 'queued' AND t.created_at < %s", "MAIL_DAYS")
)
