"""Names that say what they hold: `is_in_inbox`, `channels_planned_at`.

PostgreSQL renames a column in the conditions of its indexes by itself, so these change in the state alone.
"""

from django.db import migrations, models


def _index(fields: list[str], name: str, condition: models.Q) -> list:
    return [
        migrations.RemoveIndex(model_name="notification", name=name),
        migrations.AddIndex(
            model_name="notification", index=models.Index(fields=fields, name=name, condition=condition)
        ),
    ]


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0024_holdout_model"),
    ]

    operations = [
        migrations.RenameField("notification", "in_inbox", "is_in_inbox"),
        migrations.RenameField("notification", "planned_at", "channels_planned_at"),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                *_index(
                    ["recipient", "-created_at", "-id"],
                    "notification_unread",
                    models.Q(read_at=None, archived_at=None, is_in_inbox=True),
                ),
                *_index(["id"], "notification_unplanned", models.Q(channels_planned_at=None)),
            ]
        ),
    ]
