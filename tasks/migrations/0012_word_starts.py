import core.models.folding
import core.models.planner
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
        core.models.planner.analyzed('tasks_task'),
    ]
