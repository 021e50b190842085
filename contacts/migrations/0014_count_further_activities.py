from django.db import migrations

from core.models.engagement import counts_further_activities


class Migration(migrations.Migration):
    """Contacts count what they are further about as well."""

    dependencies = [
        ('core', '0037_several_records'),
        ('contacts', '0013_agents'),
    ]

    operations = [
        counts_further_activities('contact', 'contacts_contact', ('last_contacted_at',)),
    ]
