from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('core', '0016_import_warnings'),
    ]

    operations = [
        migrations.CreateModel(
            name='AssignmentTurn',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('entity', models.CharField(max_length=40)),
                ('people', models.CharField(max_length=100)),
                ('last_user_id', models.BigIntegerField(default=0)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('entity', 'people'), name='assignment_turn_unique')],
            },
        ),
    ]
