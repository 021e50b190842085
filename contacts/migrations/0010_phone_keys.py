import core.models.folding
import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # These tables may be large: writing goes on while the indexes are built.
    atomic = False

    dependencies = [
        ('core', '0030_duplicate_rules'),
        ('contacts', '0009_folded_text'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='company',
            index=models.Index(condition=models.Q(('email', ''), _negated=True), fields=['email'], name='company_email'),
        ),
        AddIndexConcurrently(
            model_name='company',
            index=models.Index(core.models.folding.PhoneKey('phone'), condition=models.Q(('phone', ''), _negated=True), name='company_phone_key'),
        ),
        AddIndexConcurrently(
            model_name='contact',
            index=models.Index(core.models.folding.PhoneKey('phone'), condition=models.Q(('phone', ''), _negated=True), name='contact_phone_key'),
        ),
        AddIndexConcurrently(
            model_name='contact',
            index=models.Index(core.models.folding.PhoneKey('mobile'), condition=models.Q(('mobile', ''), _negated=True), name='contact_mobile_key'),
        ),
        AddIndexConcurrently(
            model_name='contact',
            index=django.contrib.postgres.indexes.GinIndex(core.models.folding.PhoneKeys('additional_phones'), name='contact_phones_key'),
        ),
    ]
