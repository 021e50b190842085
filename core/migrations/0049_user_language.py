import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

import core.accounts.models


class Migration(migrations.Migration):
    dependencies = [("core", "0048_passkeys")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="language",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                max_length=10,
                validators=[core.accounts.models.check_language],
            ),
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='user',
            name='compose_text',
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='user',
            trigger=pgtrigger.compiler.Trigger(name='compose_text', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (concat(NEW."password", NEW."username", NEW."first_name", NEW."last_name", NEW."email", NEW."role", NEW."time_zone", NEW."language", NEW."phone", NEW."phone_region") IS NOT NFC NORMALIZED)', func='RETURN jsonb_populate_record(NEW, normalize(to_jsonb(NEW)::text, NFC)::jsonb);', hash='5ba2f40d5e6d4d085592e3b36541c846c28c48f7', operation='INSERT OR UPDATE', pgid='pgtrigger_compose_text_654be', table='core_user', when='BEFORE')),
        ),
    ]
