from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """An index of few rows over a large table: built without holding up who writes."""

    atomic = False

    dependencies = [
        ("core", "0035_agents"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="change",
            index=models.Index(condition=models.Q(('agent_session_id__isnull', False)), fields=['agent_session_id'], name='change_of_agent'),
        ),
    ]
