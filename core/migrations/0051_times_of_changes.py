from django.contrib.postgres.indexes import BrinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('core', '0050_provisioned'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='change',
            index=BrinIndex(autosummarize=True, fields=['at'], name='change_at'),
        ),
        AddIndexConcurrently(
            model_name='auditseal',
            index=models.Index(condition=models.Q(('kind', 'sealed')), fields=['-at'], name='seal_at'),
        ),
    ]
