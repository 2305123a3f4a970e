from django.db import migrations

CREATE_TRIGRAMS = """
CREATE FUNCTION schemas_trigrams(value text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT coalesce(array_agg(DISTINCT gram), '{}') FROM (
  SELECT letter || lead(letter, 1) OVER following || lead(letter, 2) OVER following AS gram
  FROM unnest(string_to_array(value, NULL)) WITH ORDINALITY AS letters (letter, place)
  WINDOW following AS (ORDER BY place)
) AS grams WHERE gram IS NOT NULL
$$
"""
CREATE_INDEX = (
    "CREATE INDEX schema_alive_by_text ON schemas_schema USING gin (schemas_trigrams(search_text)) "
    "WHERE deleted_at IS NULL"
)


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(CREATE_TRIGRAMS)
        schema_editor.execute(CREATE_INDEX)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX schema_alive_by_text")
        schema_editor.execute("DROP FUNCTION schemas_trigrams(text)")


class Migration(migrations.Migration):
    dependencies = [("schemas", "0006_list_indexes")]

    operations = [migrations.RunPython(create, drop)]
