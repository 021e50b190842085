"""The fit without the newest leads under its usual name."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0023_barred_features")]

    operations = [migrations.RenameField("scoringmodel", "twin", "holdout_model")]
