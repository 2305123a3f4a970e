"""Secrets at rest: encrypted with keys that are not in the database (DATAFOLD_ENCRYPTION_KEYS).

The first key encrypts, all of them decrypt: put a new one in front, run `manage.py
reencrypt_secrets`, then take the old one away.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.db import models, transaction

from project.errors import DomainError

# Every column that holds a token of `encrypt`, as (app label, model, column).
ENCRYPTED_COLUMNS: list[tuple[str, str, str]] = [("keys", "ServerKey", "secret")]


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
    for app_label, model_name, column in ENCRYPTED_COLUMNS:
        model = apps.get_model(app_label, model_name)
        with transaction.atomic():
            count = _reencrypt(model, column, dry_run=dry_run)
        yield f"{app_label}.{model_name}.{column}", count


def _reencrypt(model: type[models.Model], column: str, *, dry_run: bool) -> int:
    rows = model._default_manager.exclude(**{column: ""}).select_for_update()
    count = 0
    for pk, token in rows.values_list("pk", column).iterator():
        fresh = encrypt(decrypt(token))
        if not dry_run:
            model._default_manager.filter(pk=pk, **{column: token}).update(**{column: fresh})
        count += 1
    return count


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
            f"{problem} Operators: make one with `python -c \"from cryptography.fernet import Fernet; "
            'print(Fernet.generate_key().decode())"`.'
        )
    return MultiFernet([Fernet(key) for key in settings.DATAFOLD_ENCRYPTION_KEYS])
