import core.models.folding
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # The table may be large: writing goes on while the index is built.
    atomic = False

    dependencies = [
        ('contacts', '0011_company_by_domain'),
        ('lead_management', '0010_company_by_domain'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='lead',
            index=models.Index(condition=models.Q(('company__isnull', False)), fields=['company'], name='lead_company'),
        ),
        AddIndexConcurrently(
            model_name='lead',
            index=models.Index(core.models.folding.MailDomain('email'), models.F('id'), condition=models.Q(models.Q(('email', ''), _negated=True), ('archived_at', None), ('company', None)), name='lead_mail_domain'),
        ),
        # The companies of those who are there already are looked for in the background.
        migrations.RunSQL(
            """
            INSERT INTO contacts_companycheck (entity)
            SELECT 'lead' WHERE EXISTS (SELECT 1 FROM lead_management_lead);
            """,
            migrations.RunSQL.noop,
        ),
    ]
