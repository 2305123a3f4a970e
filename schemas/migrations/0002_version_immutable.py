from django.db import migrations

from project.db.triggers import RefuseWrite

FROZEN = [
    "schema_id",
    "number",
    "version",
    "format",
    "content",
    "canonical",
    "fingerprint",
    "author_id",
    "author_key_id",
    "receipt",
    "created_at",
]


def changed(operator: str, cast: str = "") -> str:
    return " OR ".join(f"OLD.{column}{cast} {operator} NEW.{column}{cast}" for column in FROZEN)


class Migration(migrations.Migration):
    dependencies = [("schemas", "0001_initial")]

    operations = [
        RefuseWrite(
            "schema_version_frozen",
            "schemas_schemaversion",
            "UPDATE",
            "a schema version is immutable",
            {"sqlite": changed("IS NOT"), "postgresql": changed("IS DISTINCT FROM", "::text")},
        ),
    ]
