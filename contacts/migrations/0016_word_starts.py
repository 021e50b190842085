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
        ('contacts', '0015_addresses_indexed'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='company',
            index=django.contrib.postgres.indexes.GinIndex(core.models.folding.WordStarts('search_text'), name='company_word_starts'),
        ),
        AddIndexConcurrently(
            model_name='contact',
            index=django.contrib.postgres.indexes.GinIndex(core.models.folding.WordStarts('search_text'), name='contact_word_starts'),
        ),
        core.models.planner.analyzed('contacts_company'),
        core.models.planner.analyzed('contacts_contact'),
    ]
