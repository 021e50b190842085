from django.db import migrations

from core.models.engagement import counts_activities


class Migration(migrations.Migration):
    """Deals know when their people were last spoken to."""

    dependencies = [("opportunities", "0004_lean_indexes"), ("core", "0006_notifications")]

    operations = [
        counts_activities("opportunity", "opportunities_opportunity", ("last_contacted_at",)),
    ]
