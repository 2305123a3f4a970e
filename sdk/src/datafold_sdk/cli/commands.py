"""What each subcommand does: read the settings, make the call, say what happened."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datafold_sdk.client import DataFoldClient
from datafold_sdk.errors import ConfigurationError, DataFoldError, InvalidResponseError, KeyStateError
from datafold_sdk.keys import PrivateKey
from datafold_sdk.receipts import verify_receipt
from datafold_sdk.refusals import JSONObject
from datafold_sdk.signing import Credentials

from .output import Output, facts
from .store import SETTINGS, Settings, Store, read_text

OK = 0
REFUSED = 1
_REFUSED_FOR_CERTAIN = frozenset({400, 403, 404, 422})


@dataclass(frozen=True)
class Run:
    """One run of the command."""

    options: argparse.Namespace
    store: Store
    output: Output

    def settings(self) -> Settings:
        """The settings that count for this run."""
        return self.store.settings(
            server_url=self.options.server_url,
            client_id=self.options.as_client,
            private_key_file=self.options.key_file,
        )

    def stranger(self) -> DataFoldClient:
        """A client without a key."""
        return DataFoldClient(self.settings().server_url, timeout=self.options.timeout)

    def client(self, *, signed: bool = True) -> DataFoldClient:
        """A client; with `signed`, one that can sign."""
        settings = self.settings()
        client = self.stranger()
        if settings.private_key is not None:
            client.configure_signing(
                Credentials.create(
                    key_id=settings.client_id or settings.private_key.thumbprint,
                    private_key=settings.private_key,
                    profile=settings.signing_profile,
                )
            )
        elif signed:
            raise ConfigurationError(
                "No private key is configured. Run `datafold register`, or set DATAFOLD_CLIENT_ID and "
                "DATAFOLD_PRIVATE_KEY_FILE (or DATAFOLD_PRIVATE_KEY)."
            )
        return client


def keygen(run: Run) -> int:
    """Make a key, write it to a file, and show its public half."""
    key = PrivateKey.generate(run.options.algorithm)
    path = run.store.write_key(key, Path(run.options.out) if run.options.out else None)
    if not run.options.out:
        run.store.save(private_key_file=str(path), algorithm=key.algorithm)
    known = {
        "private_key_file": str(path),
        "algorithm": key.algorithm,
        "public_key": key.public_text,
        "thumbprint": key.thumbprint,
        "jwk": key.public_jwk,
    }
    run.output.result(known, facts("A new key. The private half never leaves its file.", known))
    return OK


def register(run: Run) -> int:
    """Register the configured key, or a new one, proving its possession."""
    settings = run.settings()
    key = settings.private_key
    if key is None:
        key = PrivateKey.generate(run.options.algorithm or "ed25519")
        path = run.store.write_key(key)
        run.store.save(private_key_file=str(path), algorithm=key.algorithm)
        run.output.note(f"Made a key: {run.store.shown(path)}")
    with run.stranger() as client:
        answer = client.register(
            private_key=key,
            client_id=run.options.client_id,
            key_name=run.options.name,
            metadata=dict(run.options.metadata),
            enrolment_token=_secret(run.options.token),
        )
    data = _data(answer)
    if not isinstance(client_id := data.get("client_id"), str):
        raise InvalidResponseError(f"{settings.server_url} did not say as whom it registered the key.")
    _keep(run, client_id=client_id, server_url=settings.server_url)
    names = ("client_id", "registration_id", "algorithm", "thumbprint", "status", "expires_at")
    text = facts(f"Registered with {settings.server_url}.", data, names)
    if data.get("status") == "pending":
        text += (
            "\nAn operator has to approve the key. `datafold status` tells when; then `datafold me` works."
        )
    run.output.result(answer, text)
    return OK


def status(run: Run) -> int:
    """Show the state of this client's key, or of another's."""
    with run.client(signed=False) as client:
        client_id = run.options.client_id or run.store.effective(client_id=run.options.as_client).get(
            "client_id"
        )
        if not client_id:
            raise ConfigurationError("Whose key? Name a client_id, or run `datafold register` first.")
        try:
            answer = client.key_status(client_id)
        except KeyStateError as refusal:
            # Only a key that counts may ask for everything; its state is told to anybody.
            run.output.note(f"datafold: {refusal.message}")
            with run.stranger() as stranger:
                answer = stranger.key_status(client_id)
    run.output.result(answer, facts(f"{client_id} at {client.base_url}", _data(answer)))
    return OK


def me(run: Run) -> int:
    """Make a signed call and show how the server saw it."""
    with run.client() as client:
        answer = client.me()
    run.output.result(
        answer, facts(f"{client.base_url} knows this client.", _with_brief_signature(_data(answer)))
    )
    return OK


def rotate(run: Run) -> int:
    """Replace the key; the new one is on disk before the server hears of it."""
    with run.client() as client:
        new_key = PrivateKey.generate(run.options.algorithm or _credentials(client).private_key.algorithm)
        path = run.store.write_key(new_key, Path(run.options.out) if run.options.out else None)
        run.output.note(f"New key: {run.store.shown(path)}")
        try:
            answer = client.rotate(new_key, grace_seconds=run.options.grace)
        except DataFoldError as failure:
            if _took_no_effect(failure):
                path.unlink()  # Nobody will ever need it.
                run.output.note("The old key stays in use; the new one is gone.")
            else:
                failure.details["new_key_file"] = str(path)
                failure.details.setdefault(
                    "cure",
                    f"It may have taken effect: try `datafold me --key-file {path}` before you rotate again.",
                )
            raise
    _keep(run, private_key_file=str(path), algorithm=new_key.algorithm)
    text = facts("Rotated. This profile signs with the new key from now on.", _data(answer))
    run.output.result(answer, text)
    _warn_of_override(run)
    return OK


def revoke(run: Run) -> int:
    """Revoke this client's own key, for good."""
    with run.client() as client:
        key_id = _credentials(client).key_id
        if not run.options.yes:
            raise ConfigurationError(f"This cuts {key_id} off for good. Add --yes if that is what you want.")
        answer = client.revoke(reason=run.options.reason)
    run.output.result(answer, facts(f"Revoked. {key_id} is refused from the next request on.", _data(answer)))
    return OK


def request(run: Run) -> int:
    """Make any call, signed where a key is configured, and print the answer as JSON."""
    with run.client(signed=run.options.sign is True) as client:
        answer = client.request(
            run.options.method,
            run.options.path,
            json=read_json(run.options.data) if run.options.data is not None else None,
            sign=run.options.sign,
        )
    run.output.result(answer, json.dumps(answer, indent=2, ensure_ascii=False))
    return OK


def check_receipt(run: Run) -> int:
    """Check a receipt offline and name each check."""
    receipt = read_json(f"@{run.options.file}" if run.options.file != "-" else "-")
    if not isinstance(receipt, dict):
        raise ConfigurationError(f"{run.options.file} holds no receipt: it must be a JSON object.")
    result = verify_receipt(receipt)
    marks = {True: "ok  ", False: "FAIL", None: "--  "}
    lines = [f"{marks[check.passed]}  {check.name}: {check.message}" for check in result.checks]
    lines.append("The receipt holds." if result.valid else "The receipt does NOT hold.")
    run.output.result(result.to_dict(), "\n".join(lines))
    return OK if result.valid else REFUSED


def config(run: Run) -> int:
    """Show, or change, the settings of this profile. Never shows a private key."""
    if run.options.setting:
        changes = {}
        for name, value in run.options.setting:
            if name not in SETTINGS:
                raise ConfigurationError(f"{name!r} is not a setting. Choose {', '.join(SETTINGS)}.")
            changes[name] = value or None
        run.store.save(**changes)
    known: dict[str, Any] = {"config_file": str(run.store.path), "profile": run.store.profile}
    known |= run.store.effective(server_url=run.options.server_url, private_key_file=run.options.key_file)
    run.output.result(known, facts("What counts here (options, then environment, then the file):", known))
    return OK


def read_json(argument: str) -> Any:
    """JSON given as text, as `@file`, or as `-` for standard input."""
    try:
        if argument == "-":
            text = sys.stdin.read() if sys.stdin else ""
        else:
            text = read_text(Path(argument[1:])) if argument.startswith("@") else argument
        return json.loads(text)
    except OSError as exc:
        raise ConfigurationError(f"{argument[1:]} cannot be read: {exc.strerror}.") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError(f"This is not JSON: {exc}") from exc


def _with_brief_signature(data: dict[str, Any]) -> dict[str, Any]:
    signature = data.get("signature")
    if not isinstance(signature, dict) or not isinstance(signature.get("components"), list):
        return data
    covered = " ".join(map(str, signature["components"]))
    return data | {"signature": f"{signature.get('algorithm')} over {covered}"}


def _credentials(client: DataFoldClient) -> Credentials:
    if client.credentials is None:
        raise ConfigurationError("No private key is configured.")
    return client.credentials


def _took_no_effect(failure: DataFoldError) -> bool:
    """Whether a rotation has failed for certain.

    Where something between repeats a request, the first may have been carried out and the second be refused:
    its nonce is used, the old key is no longer active, the new one is known.
    """
    if isinstance(failure, KeyStateError):
        return False
    return isinstance(failure, ConfigurationError) or failure.status in _REFUSED_FOR_CERTAIN


def _keep(run: Run, **changes: str) -> None:
    """Save settings after the server has acted: that they cannot be kept undoes nothing, and is told."""
    try:
        run.store.save(**changes)
    except ConfigurationError as error:
        settings = ", ".join(f"{name}={value}" for name, value in changes.items())
        run.output.warn(f"datafold: done, but not kept: {error.message} Set it yourself: {settings}")


def _warn_of_override(run: Run) -> None:
    if run.options.key_file or run.settings().key_source != run.store.stored().get("private_key_file"):
        run.output.note(
            "An option or an environment variable still names the old key: change it to the new file."
        )


def _secret(argument: str | None) -> str | None:
    """A secret given as text, or as `@file` to keep it out of the process list."""
    if argument is None or not argument.startswith("@"):
        return argument
    try:
        return read_text(Path(argument[1:])).strip()
    except OSError as exc:
        raise ConfigurationError(f"{argument[1:]} cannot be read: {exc.strerror}.") from exc


def _data(answer: JSONObject) -> dict[str, Any]:
    data = answer.get("data")
    return data if isinstance(data, dict) else {}
