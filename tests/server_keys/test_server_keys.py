from __future__ import annotations

import base64
import threading
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.audit import Actor
from accounts.models import AuditEvent
from keys import server_keys
from keys.models import ServerKey
from project.encryption import EncryptionKeysMissing, SecretUnreadable, decrypt, encrypt

pytestmark = pytest.mark.django_db


def run(name: str, *args: str) -> str:
    out = StringIO()
    call_command(name, *args, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_first_key_is_made_at_need_and_stays() -> None:
    signer = server_keys.current_signer()
    server_keys.clear_cache()
    assert server_keys.current_signer().thumbprint == signer.thumbprint
    assert AuditEvent.objects.get(action="server_key.created").target_id == signer.thumbprint


def test_the_private_half_is_encrypted_at_rest() -> None:
    signer = server_keys.current_signer()
    row = ServerKey.objects.get()
    pkcs8 = signer.private_key.pkcs8()
    assert pkcs8.hex() not in row.secret
    assert b"pkcs8" in decrypt(row.secret)
    assert base64.b64encode(pkcs8).decode() not in repr(signer)


def test_rotation_changes_the_signer_and_is_recorded() -> None:
    old = server_keys.current_signer()
    assert "signs with" in run("rotate_server_key", "--reason", "planned")
    new = server_keys.current_signer()
    assert new.thumbprint != old.thumbprint
    event = AuditEvent.objects.get(action="server_key.rotated")
    assert (event.before, event.reason) == ({"thumbprint": old.thumbprint}, "planned")
    assert {key.thumbprint for key in server_keys.published()} == {old.thumbprint, new.thumbprint}


def test_a_compromised_key_is_gone_at_once() -> None:
    old = server_keys.current_signer()
    run("rotate_server_key", "--compromised")
    assert old.thumbprint not in {key.thumbprint for key in server_keys.published()}
    with pytest.raises(SecretUnreadable, match="destroyed"):
        server_keys.signer_of(ServerKey.objects.get(thumbprint=old.thumbprint))


def test_a_secret_moved_to_another_row_is_noticed() -> None:
    server_keys.current_signer()
    server_keys.rotate(actor=Actor.system("tests"))
    active, retired = ServerKey.objects.get(active=True), ServerKey.objects.get(active=False)
    ServerKey.objects.filter(pk=active.pk).update(secret=retired.secret)
    server_keys.clear_cache()
    with pytest.raises(SecretUnreadable, match="another key"):
        server_keys.current_signer()


def test_missing_and_wrong_encryption_keys_say_so(settings: Any) -> None:
    server_keys.current_signer()
    settings.DATAFOLD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    server_keys.clear_cache()
    with pytest.raises(SecretUnreadable, match="none of DATAFOLD_ENCRYPTION_KEYS"):
        server_keys.current_signer()
    settings.DATAFOLD_ENCRYPTION_KEYS = []
    with pytest.raises(EncryptionKeysMissing, match=r"Fernet\.generate_key"):
        server_keys.current_signer()
    with pytest.raises(CommandError, match="DATAFOLD_ENCRYPTION_KEYS"):
        run("rotate_server_key")


def test_nobody_rotates_with_encryption_keys_that_are_not_the_servers(settings: Any) -> None:
    """The servers could not open what this would make, and would stop signing."""
    run("rotate_server_key")
    old = server_keys.current_signer()
    settings.DATAFOLD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="--compromised"):
        run("rotate_server_key")
    assert ServerKey.objects.get(active=True).thumbprint == old.thumbprint
    run("rotate_server_key", "--compromised", "--reason", "the encryption keys are lost")
    new = server_keys.current_signer()
    assert new.thumbprint != old.thumbprint
    assert [key.thumbprint for key in server_keys.published()] == [new.thumbprint]


def test_reencrypt_secrets_lets_the_old_key_go(settings: Any) -> None:
    signer = server_keys.current_signer()
    old = settings.DATAFOLD_ENCRYPTION_KEYS[0]
    new = Fernet.generate_key().decode()
    settings.DATAFOLD_ENCRYPTION_KEYS = [new, old]
    assert "keys.ServerKey.secret: 1 opens" in run("reencrypt_secrets", "--dry-run")
    run("reencrypt_secrets")
    settings.DATAFOLD_ENCRYPTION_KEYS = [new]
    server_keys.clear_cache()
    assert server_keys.current_signer().thumbprint == signer.thumbprint


def test_reencrypt_secrets_reaches_second_factors(settings: Any, django_user_model: Any) -> None:
    from allauth.mfa.models import Authenticator

    user = django_user_model.objects.create_user("olga")
    row = Authenticator.objects.create(
        user=user,
        type="recovery_codes",
        data={"seed": encrypt(b"seed"), "used_mask": 3, "migrated_codes": [encrypt(b"c")]},
    )
    new = Fernet.generate_key().decode()
    settings.DATAFOLD_ENCRYPTION_KEYS = [new, *settings.DATAFOLD_ENCRYPTION_KEYS]
    run("reencrypt_secrets")
    settings.DATAFOLD_ENCRYPTION_KEYS = [new]
    row.refresh_from_db()
    assert decrypt(row.data["seed"]) == b"seed"
    assert decrypt(row.data["migrated_codes"][0]) == b"c"
    assert row.data["used_mask"] == 3


@pytest.mark.django_db(transaction=True)
def test_processes_that_start_together_agree_on_one_key() -> None:
    thumbprints, barrier = [], threading.Barrier(5)

    def work() -> None:
        try:
            barrier.wait()
            thumbprints.append(server_keys.current_signer().thumbprint)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(thumbprints) == 5
    assert len(set(thumbprints)) == 1
    assert ServerKey.objects.count() == 1


def test_the_system_check_wants_encryption_keys(settings: Any) -> None:
    from project.checks import check_encryption_keys

    settings.DATAFOLD_DEVELOPMENT = False
    assert check_encryption_keys(None) == []
    settings.DATAFOLD_ENCRYPTION_KEYS = []
    assert [problem.id for problem in check_encryption_keys(None)] == ["datafold.E007"]
    settings.DATAFOLD_DEVELOPMENT = True
    assert check_encryption_keys(None) == []
    settings.DATAFOLD_ENCRYPTION_KEYS = ["too short"]
    assert [problem.id for problem in check_encryption_keys(None)] == ["datafold.E007"]
