"""The command as its users run it: a process of its own against a real local server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from datafold_sdk import Credentials, PrivateKey

from tests.sdk.server import Received, Reply, Server, refusal, success
from tests.sdk.test_receipts import make_receipt
from tests.support.python import run_python

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "config" / "datafold"


@pytest.fixture
def command(tmp_path: Path, server: Server) -> Command:
    def run(*arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "DATAFOLD_SERVER_URL": server.url,
            **environ,
        }
        return run_python(
            ["-m", "datafold_sdk.cli", *arguments],
            environment={name: value for name, value in environment.items() if value},
            stdin=stdin,
            folder=tmp_path,
            seconds=30,
        )

    return run


def registering(received: Received) -> Reply:
    body = received.json
    return success(
        {"client_id": body.get("client_id", "made-up"), "status": "pending", "algorithm": body["algorithm"]}
    )


def test_from_nothing_to_a_signed_call(command: Command, server: Server, home: Path) -> None:
    server.answer = registering
    registered = command("register", "--client-id", "app-1", "--name", "laptop", "--metadata", "team=a")
    assert registered.returncode == 0, registered.stderr
    assert "pending" in registered.stdout
    assert "operator" in registered.stdout
    [key_file] = home.glob("*.pem")
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700
    key = PrivateKey.load(key_file.read_bytes())
    server.received[0].verify({key.thumbprint: key})
    assert server.received[0].json["metadata"] == {"team": "a"}

    server.answer = lambda _: success({"client_id": "app-1"})
    called = command("me", DATAFOLD_SERVER_URL="")
    assert called.returncode == 0, called.stderr
    server.received[1].verify({"app-1": key})


def test_a_rotation_moves_the_profile_to_the_new_key(command: Command, server: Server, home: Path) -> None:
    command("keygen")
    command("config", "client_id=app-1")
    [old_file] = home.glob("*.pem")
    rotated = command("rotate", "--grace", "60")
    assert rotated.returncode == 0, rotated.stderr
    [new_file] = set(home.glob("*.pem")) - {old_file}
    old, new = (PrivateKey.load(path.read_bytes()) for path in (old_file, new_file))
    server.received[0].verify({"app-1": old})
    server.received[0].verify({new.thumbprint: new}, tag="datafold-new-key")
    command("me")
    server.received[1].verify({"app-1": new})


def test_a_refused_rotation_keeps_the_old_key_and_no_other(
    command: Command, server: Server, home: Path
) -> None:
    command("keygen")
    server.answer = lambda _: refusal(403, "SCOPE_MISSING", cause="No keys:rotate.")
    refused = command("rotate")
    assert refused.returncode == 1
    assert "stays in use" in refused.stderr
    assert len(list(home.glob("*.pem"))) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "NONCE_REUSED"), (403, "KEY_REVOKED"), (409, "DUPLICATE_PUBLIC_KEY"), (408, "x"), (502, "x")],
)
def test_a_rotation_that_may_have_taken_effect_keeps_the_new_key(
    command: Command, server: Server, home: Path, status: int, code: str
) -> None:
    """A proxy that repeats a request gets the first one carried out and shows the second one's refusal."""
    command("keygen")
    [old_file] = home.glob("*.pem")
    server.answer = lambda _: refusal(status, code)
    failed = command("rotate", "--json")
    assert failed.returncode == 1
    [new_file] = set(home.glob("*.pem")) - {old_file}
    assert json.loads(failed.stdout)["error"]["details"]["new_key_file"] == str(new_file)
    assert "new_key_file" in command("rotate").stderr


@pytest.mark.parametrize("how", ["hex", "path", "pem", "file"])
def test_the_environment_names_the_key(
    command: Command, server: Server, key: PrivateKey, tmp_path: Path, how: str
) -> None:
    file = tmp_path / "key"
    raw_hex = key.key.private_bytes_raw().hex()  # type: ignore[union-attr]
    file.write_text(raw_hex)
    file.chmod(0o600)
    environ = {
        "hex": {"DATAFOLD_PRIVATE_KEY": raw_hex},
        "path": {"DATAFOLD_PRIVATE_KEY": str(file)},
        "pem": {"DATAFOLD_PRIVATE_KEY": key.private_pem().decode()},
        "file": {"DATAFOLD_PRIVATE_KEY_FILE": str(file)},
    }[how]
    result = command("me", DATAFOLD_CLIENT_ID="app-1", **environ)
    assert result.returncode == 0, result.stderr
    server.received[0].verify({"app-1": key})


def test_without_a_client_id_the_key_speaks_for_itself(
    command: Command, server: Server, key: PrivateKey
) -> None:
    command("me", DATAFOLD_PRIVATE_KEY=key.private_pem().decode())
    server.received[0].verify({key.thumbprint: key})


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o660])
def test_a_key_file_that_others_can_use_is_refused(
    command: Command, server: Server, key: PrivateKey, tmp_path: Path, mode: int
) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_pem())
    file.chmod(mode)
    result = command("me", "--key-file", str(file))
    assert result.returncode == 2
    assert "chmod 600" in result.stderr
    assert server.received == []


def test_a_key_file_is_never_overwritten(command: Command, tmp_path: Path) -> None:
    assert command("keygen", "--out", "k.pem").returncode == 0
    before = (tmp_path / "k.pem").read_bytes()
    again = command("keygen", "--out", "k.pem")
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert (tmp_path / "k.pem").read_bytes() == before


def test_a_refusal_says_what_why_and_what_to_do(command: Command, server: Server, key: PrivateKey) -> None:
    server.answer = lambda _: refusal(
        401, "SIGNATURE_EXPIRED", cause="Signed 4000 s ago.", cure="Set the clock.", window=300
    )
    environ = {"DATAFOLD_PRIVATE_KEY": key.private_pem().decode()}
    result = command("me", **environ)
    assert result.returncode == 1
    for text in ("SIGNATURE_EXPIRED", "Signed 4000 s ago.", "Set the clock.", "window: 300", "req-1"):
        assert text in result.stderr
    as_json = command("me", "--json", **environ)
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout)["error"]["code"] == "SIGNATURE_EXPIRED"


def test_exit_codes_tell_what_kind_of_failure(command: Command) -> None:
    assert command("me").returncode == 2
    assert command("no-such-command").returncode == 2
    assert command("revoke", DATAFOLD_PRIVATE_KEY="ab" * 32).returncode == 2
    assert command("request", "GET", "/x", DATAFOLD_SERVER_URL="http://127.0.0.1:1").returncode == 3
    assert command("request", "GET", "/x", "--timeout", "0").returncode == 2
    assert command("--version").returncode == 0


def test_a_request_takes_its_body_from_anywhere(command: Command, server: Server, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text('{"from": "file"}')
    command("request", "POST", "/x", "--data", '{"from": "text"}')
    command("request", "POST", "/x", "--data", "@body.json")
    result = command("request", "post", "/x", "--data", "-", stdin='{"from": "stdin"}')
    assert json.loads(result.stdout)["success"] is True
    assert [received.json["from"] for received in server.received] == ["text", "file", "stdin"]
    assert command("request", "POST", "/x", "--data", "{").returncode == 2
    assert command("request", "POST", "/x", "--data", "@missing").returncode == 2


def test_schemas_are_written_listed_and_deleted(command: Command, server: Server) -> None:
    environ = {"DATAFOLD_PRIVATE_KEY": "ab" * 32}
    fields = '[{"name": "id", "type": "uuid"}]'
    assert command("schemas", "create", "events", fields, "--version", "1.0.0", **environ).returncode == 0
    assert server.received[0].json == {"name": "events", "fields": json.loads(fields), "version": "1.0.0"}
    command("schemas", "create", "events", '{"type": "object"}', "--format", "jsonschema", "--add", **environ)
    assert server.received[1].json == {"format": "jsonschema", "content": {"type": "object"}}
    server.answer = lambda _: success([{"name": "events", "version": "1.0.0", "state": "available"}])
    listed = command("schemas", "list", "--limit", "5", **environ)
    assert "events" in listed.stdout
    assert "AVAILABLE" not in listed.stdout.splitlines()[0]
    assert command("schemas", "versions", "events", **environ).returncode == 0
    assert command("schemas", "get", "events", "2", **environ).returncode == 0
    assert command("schemas", "get", "events", "--format", "avro", **environ).returncode == 0
    assert command("schemas", "delete", "events", **environ).returncode == 0
    paths = [f"{received.method} {received.url.split('/api/v1/')[1]}" for received in server.received]
    assert paths == [
        "POST schemas",
        "POST schemas/events/versions",
        "GET schemas?limit=5",
        "GET schemas/events/versions",
        "GET schemas/events/versions/2",
        "GET schemas/events/versions/latest?format=avro",
        "DELETE schemas/events",
    ]


@pytest.mark.parametrize("words", [("list",), ("versions", "events")], ids=" ".join)
def test_a_page_that_is_not_the_last_says_how_to_go_on(
    command: Command, server: Server, words: tuple[str, ...]
) -> None:
    """A page of large documents ends early: whoever reads it must not take it for all there is."""
    rows = [{"name": "events", "number": 2, "version": "1.0.0"}]
    meta = {"pagination": {"limit": 1, "next_cursor": "cD0y", "has_more": True}}
    server.answer = lambda _: Reply(200, {"success": True, "data": rows, "error": None, "meta": meta})
    page = command("schemas", *words, "--limit", "1")
    assert (page.returncode, "--cursor cD0y" in page.stderr) == (0, True)
    assert command("schemas", *words, "--json").stderr == ""
    server.answer = lambda _: success(rows)
    assert command("schemas", *words, "--cursor", "cD0y").stderr == ""
    assert [received.url.partition("?")[2] for received in server.received] == ["limit=1", "", "cursor=cD0y"]


def test_an_incompatible_schema_fails_the_check_and_says_why(command: Command, server: Server) -> None:
    environ = {"DATAFOLD_PRIVATE_KEY": "ab" * 32}
    difference = {
        "code": "VALUE_REMOVED",
        "message": "No GBP.",
        "breaking": True,
        "counterexample": {"c": "GBP"},
    }
    report = {"compatible": False, "mode": "FULL", "policy": "exact", "checked_against": [3]}
    server.answer = lambda _: success(report | {"differences": [difference]})
    check = ("schemas", "check", "events", '{"enum": []}', "--format", "jsonschema")
    refused = command(*check, "--mode", "FULL", "--against", "3", **environ)
    assert refused.returncode == 1
    assert refused.stdout.splitlines() == [
        "NOT compatible: FULL, policy exact, against 3.",
        "BREAK  VALUE_REMOVED: No GBP.",
        '       shown by {"c": "GBP"}',
    ]
    sent = {"format": "jsonschema", "content": {"enum": []}, "mode": "FULL", "against": 3}
    assert server.received[0].json == sent
    server.answer = lambda _: success(report | {"differences": [None, difference]})
    assert "VALUE_REMOVED" in command(*check, **environ).stdout
    server.answer = lambda _: success(report | {"compatible": True, "differences": []})
    assert command(*check, "--against", "in_use", **environ).returncode == 0


def test_status_revoke_and_receipt(command: Command, server: Server, key: PrivateKey, tmp_path: Path) -> None:
    environ = {"DATAFOLD_PRIVATE_KEY": key.private_pem().decode(), "DATAFOLD_CLIENT_ID": "app-1"}
    server.answer = lambda _: success({"status": "active"})
    assert "active" in command("status", **environ).stdout
    command("status", "other", **environ)
    assert command("revoke", "--yes", "--reason", "keyCompromise", **environ).returncode == 0
    assert [received.url.rpartition("/")[2] for received in server.received] == ["app-1", "other", "app-1"]
    for received in server.received:
        received.verify({"app-1": key})
    server.answer = lambda _: success(make_receipt(key))
    receipt = command("schemas", "receipt", "user_events", "1", **environ)
    assert command("verify-receipt", "-", stdin=receipt.stdout).returncode == 0


def test_a_receipt_is_checked_without_a_server(
    command: Command, server: Server, key: PrivateKey, tmp_path: Path
) -> None:
    receipt = make_receipt(key)
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(receipt))
    holds = command("verify-receipt", str(file))
    assert (holds.returncode, holds.stdout.splitlines()[-1]) == (0, "The receipt holds.")
    file.write_text(json.dumps(receipt | {"fingerprint": "0" * 64}))
    broken = command("verify-receipt", str(file), "--json")
    assert broken.returncode == 1
    assert [c["name"] for c in json.loads(broken.stdout)["checks"] if c["passed"] is False] == ["fingerprint"]
    assert command("verify-receipt", "missing.json").returncode == 2
    assert server.received == []


def test_profiles_keep_their_settings_apart(command: Command, server: Server, home: Path) -> None:
    assert command("config", "client_id=a", "--profile", "one").returncode == 0
    assert command("config", "client_id=b", DATAFOLD_PROFILE="two").returncode == 0
    shown = command("config", "--json", "--profile", "one")
    assert json.loads(shown.stdout)["client_id"] == "a"
    assert (home / "config.json").stat().st_mode & 0o777 == 0o600
    assert command("config", "colour=red").returncode == 2
    assert command("config", "--profile", "../x").returncode == 2
    (home / "config.json").write_text("{")
    assert command("config").returncode == 2


def test_nothing_that_is_printed_holds_a_private_key(command: Command, server: Server, home: Path) -> None:
    outputs = [
        command("keygen", "--json"),
        command("config"),
        command("me"),
        command("rotate"),
        command("keygen"),
    ]
    for key_file in home.glob("*.pem"):
        secret = key_file.read_text().splitlines()[1]
        raw = Credentials.create(key_id="x", private_key=key_file.read_bytes()).private_key.key
        for output in outputs:
            printed = output.stdout + output.stderr
            assert secret not in printed
            assert raw.private_bytes_raw().hex() not in printed  # type: ignore[union-attr]


def test_a_mistyped_key_is_not_repeated(command: Command) -> None:
    result = command("me", DATAFOLD_PRIVATE_KEY="ab" * 31 + "a")
    assert result.returncode == 2
    assert "DATAFOLD_PRIVATE_KEY" in result.stderr
    assert "abab" not in result.stderr


def test_what_a_server_sends_cannot_drive_the_terminal(command: Command, server: Server) -> None:
    server.answer = lambda _: success({"name": "\x1b[2J\x07evil"})
    result = command("status", "x")
    assert "\x1b" not in result.stdout
    server.answer = lambda _: refusal(404, "CLIENT_NOT_FOUND", cause="\x1b[2J", note="\x1b]0;x\x07")
    assert "\x1b" not in command("status", "x").stderr


def test_what_the_server_warns_of_is_said(command: Command, server: Server) -> None:
    server.answer = registering
    command("register", "--client-id", "app-1")
    envelope = {"success": True, "data": {"client_id": "app-1"}, "error": None}
    server.answer = lambda _: Reply(200, {**envelope, "meta": {"warnings": ["Rotate by 2030-01-31."]}})
    called = command("me")
    assert "Rotate by 2030-01-31." in called.stderr
    assert json.loads(command("me", "--json").stdout)["meta"]["warnings"] == ["Rotate by 2030-01-31."]


def test_what_was_done_but_cannot_be_kept_is_told(
    command: Command, server: Server, key: PrivateKey, tmp_path: Path
) -> None:
    """In a container the configuration's folder may not be there, nor may anything be made."""
    server.answer = registering
    (tmp_path / "config").symlink_to(tmp_path / "nowhere")
    registered = command(
        "register", "--client-id", "app-1", "--json", DATAFOLD_PRIVATE_KEY=key.private_pem().decode()
    )
    assert registered.returncode == 0, registered.stderr
    assert json.loads(registered.stdout)["data"]["client_id"] == "app-1"
    assert "client_id=app-1" in registered.stderr


def test_a_configuration_that_cannot_be_read_is_wrong_usage(
    command: Command, server: Server, home: Path
) -> None:
    (home / "config.json").mkdir(parents=True)
    for arguments in (["config"], ["me"], ["config", "client_id=a"]):
        result = command(*arguments)
        assert result.returncode == 2
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["status", "\udcff"], ["request", "G\u00c9T", "/x"], ["request", "GET", "/x?\udcff"]]
)
def test_words_that_cannot_be_sent_are_wrong_usage(
    command: Command, server: Server, arguments: list[str]
) -> None:
    """Undecodable bytes arrive as lone surrogates."""
    result = command(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert server.received == []
