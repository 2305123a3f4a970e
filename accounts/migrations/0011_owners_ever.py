from django.conf import settings
from django.db import migrations, models

from project.db.triggers import FollowWrite, RefuseWrite

REMEMBERED = "accounts_client_owners_ever"


def remember(client: str, owner: str) -> str:
    return (
        f"INSERT INTO {REMEMBERED} (client_id, user_id) SELECT {client}, {owner} WHERE NOT EXISTS "  # noqa: S608
        f"(SELECT 1 FROM {REMEMBERED} WHERE client_id = {client} AND user_id = {owner})"
    )


class Migration(migrations.Migration):
    """The database itself remembers who ever owned a client, whatever wrote the owner."""

    dependencies = [
        ("accounts", "0010_former_owners"),
    ]

    operations = [
        migrations.RenameField(model_name="client", old_name="former_owners", new_name="owners_ever"),
        migrations.AlterField(
            model_name="client",
            name="owners_ever",
            field=models.ManyToManyField(
                blank=True,
                editable=False,
                help_text="Kept by the database (triggers): under four eyes none of them approves its keys.",
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        *(
            FollowWrite(
                f"client_owner_remembered_{event.split()[0].lower()}",
                "accounts_client",
                event,
                remember("NEW.id", "NEW.owner_id"),
                "NEW.owner_id IS NOT NULL",
            )
            for event in ("INSERT", "UPDATE OF owner_id")
        ),
        *(
            RefuseWrite(
                f"client_owners_no_{event.lower()}",
                REMEMBERED,
                event,
                "who owned a client is never forgotten",
            )
            for event in ("UPDATE", "DELETE")
        ),
        # Fires the trigger above for the owners of today.
        migrations.RunSQL(
            "UPDATE accounts_client SET owner_id = owner_id WHERE owner_id IS NOT NULL",
            migrations.RunSQL.noop,
        ),
    ]
