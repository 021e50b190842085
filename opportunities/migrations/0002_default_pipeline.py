"""Stage and pipeline of an opportunity belong together; the pipeline that new installations start with."""

from django.db import migrations

# Deferred, so that a stage may be renamed and its opportunities follow in one transaction.
COMPOSITE_KEY = """
ALTER TABLE opportunities_opportunity ADD CONSTRAINT opportunity_stage_exists
    FOREIGN KEY (pipeline_id, stage) REFERENCES opportunities_stage (pipeline_id, key)
    ON UPDATE CASCADE DEFERRABLE INITIALLY IMMEDIATE
"""
DEFAULT_STAGES = (
    ("prospecting", "Prospecting", 10, 30),
    ("qualification", "Qualification", 25, 30),
    ("proposal", "Proposal", 50, 21),
    ("negotiation", "Negotiation", 75, 14),
    ("closed_won", "Closed won", 100, None),
    ("closed_lost", "Closed lost", 0, None),
)


def add_default_pipeline(apps, schema_editor):
    Pipeline = apps.get_model("opportunities", "Pipeline")
    Stage = apps.get_model("opportunities", "Stage")
    pipeline = Pipeline.objects.create(name="Sales", is_default=True)
    for position, (key, name, probability, rotting) in enumerate(DEFAULT_STAGES):
        Stage.objects.create(
            pipeline=pipeline,
            key=key,
            name=name,
            position=position,
            probability=probability,
            rotting_days=rotting,
            is_won=key == "closed_won",
            is_lost=key == "closed_lost",
        )


class Migration(migrations.Migration):
    dependencies = [("opportunities", "0001_initial")]

    operations = [
        migrations.RunSQL(
            COMPOSITE_KEY, "ALTER TABLE opportunities_opportunity DROP CONSTRAINT opportunity_stage_exists"
        ),
        migrations.RunPython(add_default_pipeline, migrations.RunPython.noop),
    ]
