from django.db import migrations

from core.models.engagement import counts_further_activities


class Migration(migrations.Migration):
    """Deals count what they are further about as well."""

    dependencies = [
        ('core', '0037_several_records'),
        ('opportunities', '0014_agents'),
    ]

    operations = [
        counts_further_activities('opportunity', 'opportunities_opportunity', ('last_contacted_at',)),
    ]
