"""Migrations that would stop a running release are refused, each for what it does."""

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.state import ModelState, ProjectState

from backend.development.migrations import found, problems

ID = ("id", models.BigAutoField(primary_key=True))


def said(*asked, atomic=True):
    state = ProjectState()
    fields = [ID, ("name", models.CharField(max_length=20)), ("note", models.TextField(null=True))]
    options = {"constraints": [models.CheckConstraint(condition=models.Q(id__lt=9), name="thing_note")]}
    state.add_model(ModelState("tasks", "Thing", fields, options))
    migration = Migration("0001", "tasks")
    migration.operations, migration.atomic = list(asked), atomic
    return [*problems(migration, state)]


def altered(name, field):
    return operations.AlterField("thing", name, field)


INDEX = models.Index(fields=["name"], name="thing_name")
CHECK = models.CheckConstraint(condition=models.Q(id__gt=0), name="thing_id")


@pytest.mark.parametrize(
    ("operation", "part"),
    [
        (operations.AddIndex("thing", INDEX), "blocks writes: AddIndexConcurrently"),
        (operations.AddConstraint("thing", CHECK), "reads the whole table"),
        (
            operations.AddField("thing", "size", models.IntegerField(default=0)),
            "thing.size is NOT NULL without",
        ),
        (
            operations.AddField("thing", "size", models.IntegerField(null=True, db_index=True)),
            "with an index",
        ),
        (operations.RemoveField("thing", "note"), "the old code still uses it"),
        (operations.RenameField("thing", "note", "text"), "the old code knows the old name"),
        (operations.DeleteModel("Thing"), "the old code still uses it"),
        (altered("name", models.CharField(max_length=10)), "thing.name becomes varchar(10)"),
        (altered("note", models.JSONField(null=True)), "thing.note becomes jsonb"),
        (altered("note", models.TextField()), "thing.note becomes NOT NULL"),
        (altered("name", models.CharField(max_length=20, unique=True)), "thing.name gets an index"),
        (operations.RunPython(operations.RunPython.noop), "RunPython in one transaction"),
        (
            operations.RunSQL("SELECT 1; CREATE UNIQUE INDEX a ON b (c)"),
            "creates an index without CONCURRENTLY",
        ),
        (
            operations.RunSQL([("ALTER TABLE a ALTER COLUMN b TYPE bigint", None)]),
            "changes the type of a column",
        ),
        (operations.RunSQL("LOCK TABLE a IN SHARE MODE"), "locks a table"),
        (operations.AlterUniqueTogether("thing", {("name", "note")}), "reads the whole table"),
        (operations.AlterModelTable("thing", "things"), "the old code knows the old name"),
        (operations.RemoveConstraint("thing", "thing_note"), "the old code relies on it"),
        (operations.RunSQL("ALTER TABLE a RENAME COLUMN b TO c"), "renames what the old code uses"),
        (operations.RunSQL("ALTER TABLE a RENAME TO b"), "renames what the old code uses"),
        (operations.RunSQL("ALTER TABLE a DROP CONSTRAINT b"), "takes away what the old code relies on"),
        (operations.RunSQL("ALTER TABLE a ADD COLUMN b int NOT NULL"), "adds a column that the old code"),
        (operations.RunSQL("ALTER TABLE a ADD b uuid DEFAULT gen_random_uuid()"), "rewrites a table"),
    ],
)
def test_what_locks_or_breaks_is_named(operation, part):
    [sentence] = said(operation)
    assert part in sentence


def test_what_neither_locks_nor_breaks_passes():
    assert (
        said(
            operations.CreateModel("Other", [ID]),
            operations.AddIndex("other", models.Index(fields=["id"], name="other_id")),
            operations.AddField("thing", "size", models.IntegerField(default=0, db_default=0)),
            altered("name", models.CharField(max_length=40, verbose_name="what it is called")),
            operations.RunSQL(
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ CREATE INDEX a ON b (c) $$"
            ),
            AddIndexConcurrently("thing", INDEX),
            operations.RunSQL("CREATE INDEX CONCURRENTLY a ON b (c)"),
            operations.RunSQL("ALTER TABLE a ADD COLUMN b int NOT NULL DEFAULT 0, ADD COLUMN c text"),
            operations.RunSQL("ALTER TABLE a ADD CONSTRAINT b CHECK (c IS NOT NULL) NOT VALID"),
            atomic=False,
        )
        == []
    )


def test_ours_pass():
    assert found() == {}
