from django.db import migrations

from core.models.engagement import counts_activities


class Migration(migrations.Migration):
    """Contacts know when they were last spoken to."""

    dependencies = [("contacts", "0003_lean_indexes"), ("core", "0006_notifications")]

    operations = [
        counts_activities("contact", "contacts_contact", ("last_contacted_at",)),
    ]
