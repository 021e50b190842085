import core.changes.models
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('core', '0051_times_of_changes'),
    ]

    operations = [
        migrations.CreateModel(
            name='ChangeArchive',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('month', models.DateField()),
                ('file', models.CharField(max_length=100)),
                ('sha256', models.CharField(max_length=64)),
                ('rows', models.BigIntegerField()),
                ('first_id', models.BigIntegerField()),
                ('last_id', models.BigIntegerField()),
                ('last_xid', core.changes.models.Xid8Field()),
            ],
            options={
                'ordering': ['-last_id'],
            },
        ),
        migrations.AlterField(
            model_name='auditseal',
            name='kind',
            field=models.CharField(choices=[('sealed', 'Sealed'), ('erased', 'Erased'), ('pruned', 'Pruned'), ('archived', 'Archived')], max_length=10),
        ),
    ]
