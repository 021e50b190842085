import core.models.folding
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('core', '0030_duplicate_rules'),
        ('lead_management', '0008_folded_text'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='lead',
            index=models.Index(core.models.folding.PhoneKey('phone'), condition=models.Q(('phone', ''), _negated=True), name='lead_phone_key'),
        ),
        migrations.AddIndex(
            model_name='lead',
            index=models.Index(core.models.folding.PhoneKey('mobile'), condition=models.Q(('mobile', ''), _negated=True), name='lead_mobile_key'),
        ),
    ]
