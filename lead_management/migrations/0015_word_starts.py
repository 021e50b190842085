import core.models.folding
import core.models.planner
import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # The tables may be large: writing goes on while the indexes are built.
    atomic = False

    dependencies = [
        ('core', '0043_word_starts'),
        ('lead_management', '0014_addresses_indexed'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='lead',
            index=django.contrib.postgres.indexes.GinIndex(core.models.folding.WordStarts('search_text'), name='lead_word_starts'),
        ),
        AddIndexConcurrently(
            model_name='lead',
            index=models.Index(condition=models.Q(('estimated_value__isnull', False)), fields=['estimated_value', 'id'], name='lead_estimated_value'),
        ),
        core.models.planner.analyzed('lead_management_lead'),
    ]
