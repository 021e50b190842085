import core.models.folding
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # The table may be large: writing goes on while the index is built.
    atomic = False

    dependencies = [
        ('lead_management', '0013_count_further_activities'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='lead',
            index=models.Index(core.models.folding.Fold('address'), models.F('id'), condition=models.Q(('address', ''), _negated=True), name='lead_street'),
        ),
    ]
