from django.db import migrations


class Migration(migrations.Migration):
    """The beginnings of the words of a folded text; the entities have an index of it each."""

    dependencies = [
        ('core', '0042_exports_without_hidden_fields'),
    ]

    operations = [
        # Between words are blanks and the punctuation of ASCII (core.models.folding.WordStarts).
        migrations.RunSQL(
            r"""
            CREATE FUNCTION crm_word_starts(value text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN ARRAY(
                SELECT DISTINCT left(word, length)
                FROM unnest(string_to_array(translate(
                    value, E'\t\n!"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~', repeat(' ', 34)), ' ')) AS word,
                    generate_series(1, 2) AS length
                WHERE word <> ''
            );
            """,
            "DROP FUNCTION crm_word_starts(text);",
        ),
    ]
