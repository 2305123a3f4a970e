from django.db import migrations

from project.db.triggers import RefuseWrite

# Frozen here on purpose: a migration must not change when `keys.models.TRANSITIONS` does.
EDGES = {
    "pending": ["active", "rejected", "expired", "revoked"],
    "active": ["suspended", "retiring", "expired", "revoked"],
    "suspended": ["active", "expired", "revoked"],
    "retiring": ["active", "retired", "expired", "revoked"],
}
FROZEN = [
    "client_id",
    "algorithm",
    "public_key",
    "fingerprint",
    "thumbprint",
    "registered_at",
    "replaces_id",
    "proven",
]


def forbidden_edges() -> str:
    allowed = " OR ".join(
        f"(OLD.status = '{source}' AND NEW.status IN ({', '.join(repr(target) for target in targets)}))"
        for source, targets in EDGES.items()
    )
    return f"OLD.status <> NEW.status AND NOT ({allowed})"


def changed(columns: list[str], operator: str) -> str:
    return " OR ".join(f"OLD.{column} {operator} NEW.{column}" for column in columns)


class Migration(migrations.Migration):
    dependencies = [("keys", "0001_initial")]

    operations = [
        RefuseWrite(
            "key_state_edges",
            "keys_key",
            "UPDATE",
            "this change of state is not an edge of the key lifecycle",
            forbidden_edges(),
        ),
        RefuseWrite(
            "key_material_frozen",
            "keys_key",
            "UPDATE",
            "a registered key never changes its material or its client",
            {"sqlite": changed(FROZEN, "IS NOT"), "postgresql": changed(FROZEN, "IS DISTINCT FROM")},
        ),
        RefuseWrite("key_never_deleted", "keys_key", "DELETE", "a key is registered once and never deleted"),
    ]
