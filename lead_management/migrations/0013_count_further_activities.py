from django.db import migrations

from core.models.engagement import COLUMNS, counts_further_activities


class Migration(migrations.Migration):
    """Leads count what they are further about as well."""

    dependencies = [
        ('core', '0037_several_records'),
        ('lead_management', '0012_agents'),
    ]

    operations = [
        counts_further_activities('lead', 'lead_management_lead', COLUMNS),
    ]
