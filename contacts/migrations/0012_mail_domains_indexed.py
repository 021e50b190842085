import core.models.folding
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # The table may be large: writing goes on while the index is built.
    atomic = False

    dependencies = [
        ('contacts', '0011_company_by_domain'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='contact',
            index=models.Index(core.models.folding.MailDomain('email'), models.F('id'), condition=models.Q(models.Q(('email', ''), _negated=True), ('archived_at', None), ('company', None)), name='contact_mail_domain'),
        ),
        # The companies of those who are there already are looked for in the background.
        migrations.RunSQL(
            """
            INSERT INTO contacts_companycheck (entity)
            SELECT 'contact' WHERE EXISTS (SELECT 1 FROM contacts_contact);
            """,
            migrations.RunSQL.noop,
        ),
    ]
