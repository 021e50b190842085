import core.models.folding
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # These tables may be large: writing goes on while the indexes are built.
    atomic = False

    dependencies = [
        ('core', '0030_duplicate_rules'),
        ('lead_management', '0008_folded_text'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='lead',
            index=models.Index(core.models.folding.PhoneKey('phone'), condition=models.Q(('phone', ''), _negated=True), name='lead_phone_key'),
        ),
        AddIndexConcurrently(
            model_name='lead',
            index=models.Index(core.models.folding.PhoneKey('mobile'), condition=models.Q(('mobile', ''), _negated=True), name='lead_mobile_key'),
        ),
    ]
