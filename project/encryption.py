"""Secrets at rest: encrypted with keys that are not in the database (DATAFOLD_ENCRYPTION_KEYS).

The first key encrypts, all of them decrypt: put a new one in front, run `manage.py
reencrypt_secrets`, then take the old one away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.db import transaction

from project.errors import DomainError


@dataclass(frozen=True, slots=True)
class EncryptedColumn:
    """A column that holds a token of `encrypt`, or JSON of which `members` hold tokens or lists of them."""

    app_label: str
    model: str
    column: str
    members: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.app_label}.{self.model}.{self.column}"


ENCRYPTED_COLUMNS = [
    EncryptedColumn("keys", "ServerKey", "secret"),
    EncryptedColumn("mfa", "Authenticator", "data", members=("secret", "seed", "migrated_codes")),
]


class EncryptionKeysMissing(DomainError):
    """DATAFOLD_ENCRYPTION_KEYS is empty or not made of Fernet keys."""

    code = "SERVICE_UNAVAILABLE"


class SecretUnreadable(DomainError):
    """A stored secret opens under none of the keys: a key is missing, or the row was forged."""

    code = "SERVICE_UNAVAILABLE"


def encrypt(secret: bytes) -> str:
    """A Fernet token. Raises EncryptionKeysMissing."""
    return _fernet().encrypt(secret).decode("ascii")


def decrypt(token: str) -> bytes:
    """What `encrypt` was given. Raises EncryptionKeysMissing, SecretUnreadable."""
    try:
        return _fernet().decrypt(token)
    except (InvalidToken, ValueError) as error:
        raise SecretUnreadable(
            "A stored secret opens under none of DATAFOLD_ENCRYPTION_KEYS. Put the key back that it was encrypted "
            "with; if no key is missing, somebody wrote the row who does not have them."
        ) from error


def reencrypt_all(*, dry_run: bool = False) -> Iterator[tuple[str, int]]:
    """Encrypt every stored secret anew under the first key.

    Yields:
        ("keys.ServerKey.secret", how many), a column at a time; nothing is written in a dry run.

    Raises:
        EncryptionKeysMissing, SecretUnreadable: nothing of that column has changed.
    """
    for column in ENCRYPTED_COLUMNS:
        with transaction.atomic():
            count = _reencrypt(column, dry_run=dry_run)
        yield str(column), count


def _reencrypt(column: EncryptedColumn, *, dry_run: bool) -> int:
    rows = apps.get_model(column.app_label, column.model)._default_manager
    count = 0
    for pk, value in list(rows.select_for_update().values_list("pk", column.column)):
        fresh = _anew(value, column.members)
        if fresh == value:
            continue
        if not dry_run:
            rows.filter(pk=pk).update(**{column.column: fresh})
        count += 1
    return count


def _anew(value: Any, members: tuple[str, ...]) -> Any:
    """The stored value with every token in it decrypted and encrypted again."""
    if isinstance(value, dict):
        return {name: _anew(part, ()) if name in members else part for name, part in value.items()}
    if isinstance(value, list):
        return [_anew(part, ()) for part in value]
    return encrypt(decrypt(value)) if value else value


def encryption_key_problem() -> str:
    """What is wrong with DATAFOLD_ENCRYPTION_KEYS as a sentence; "" if nothing is."""
    if not settings.DATAFOLD_ENCRYPTION_KEYS:
        return "DATAFOLD_ENCRYPTION_KEYS is empty: the server has no way to keep its own keys."
    for number, key in enumerate(settings.DATAFOLD_ENCRYPTION_KEYS, start=1):
        try:
            Fernet(key)
        except (ValueError, TypeError):
            return f"Key {number} of DATAFOLD_ENCRYPTION_KEYS is not a Fernet key (32 bytes in base64url)."
    return ""


def _fernet() -> MultiFernet:
    if problem := encryption_key_problem():
        raise EncryptionKeysMissing(
            f'{problem} Operators: make one with `python -c "from cryptography.fernet import Fernet; '
            'print(Fernet.generate_key().decode())"`.'
        )
    return MultiFernet([Fernet(key) for key in settings.DATAFOLD_ENCRYPTION_KEYS])
