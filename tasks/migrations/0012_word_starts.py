import core.models.folding
import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    # The tables may be large: writing goes on while the indexes are built.
    atomic = False

    dependencies = [
        ('core', '0043_word_starts'),
        ('tasks', '0011_records_raise_the_version'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='task',
            index=django.contrib.postgres.indexes.GinIndex(core.models.folding.WordStarts('search_text'), name='task_word_starts'),
        ),
        # How often each beginning occurs is known by the index of the expression, once it is analyzed.
        migrations.RunSQL('ANALYZE tasks_task', migrations.RunSQL.noop),
    ]
