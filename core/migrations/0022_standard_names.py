"""Tables called by the words that the field has for them."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0021_opt_outs_and_breakers")]

    operations = [
        migrations.RenameModel("FailedFeed", "FailedDispatch"),
        migrations.RenameModel("DeadAddress", "SuppressedAddress"),
        migrations.RenameModel("Rotation", "RoundRobinState"),
        migrations.AlterModelOptions(
            "SuppressedAddress", {"ordering": ["-id"], "verbose_name_plural": "suppressed addresses"}
        ),
    ]
