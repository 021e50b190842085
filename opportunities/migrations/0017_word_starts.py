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
        ('opportunities', '0016_closed_deals_by_date'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='opportunity',
            index=django.contrib.postgres.indexes.GinIndex(core.models.folding.WordStarts('search_text'), name='opportunity_word_starts'),
        ),
        AddIndexConcurrently(
            model_name='opportunity',
            index=models.Index(condition=models.Q(('amount__isnull', False)), fields=['amount', 'id'], name='opportunity_by_amount'),
        ),
        core.models.planner.analyzed('opportunities_opportunity'),
    ]
