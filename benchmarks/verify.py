"""What one verification costs: ``python -m benchmarks.verify [--json] [--rounds N]``.

Three contenders check the same signed requests, in turns within one run, so that a busy machine slows all
of them alike. Figures are medians over rounds, in microseconds, and ratios of them.

- libsodium: the bare check of the finished signature base, by the cheapest call that its binding offers.
- engine: ``keys.httpsig.verify`` on a fresh request object, from field values to a verified signature.
  It remembers parsed component lists (as it does in service); ``engine without memo`` forgets them before
  every single verification. No cache knows a nonce, a signature base, a digest or a verdict.
- http-message-signatures: ``HTTPMessageVerifier.verify`` on a request object that was built beforehand,
  with the key as a loaded object. It keeps no cache between calls.
"""

import argparse
import base64
import datetime
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageVerifier, MappingKeyResolver, algorithms
from nacl._sodium import ffi, lib  # type: ignore[import-not-found]  # a compiled module without stubs

from keys.httpsig import PROFILES, PublicKey, Request, content_digest, load_public_key, verify
from keys.httpsig import signatures as engine_signatures

Timings = dict[str, list[float]]

KEYID = "benchmark"
AUTHORITY = "api.example.com"
_CALLS_PER_ROUND = 50


@dataclass(frozen=True)
class StoredKey:
    public_key: PublicKey


@dataclass
class PeerRequest:
    """A request as http-message-signatures wants it."""

    method: str
    url: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Case:
    name: str
    method: str
    target: str
    fields: dict[str, str]
    body: bytes
    base: bytes
    signature: bytes


def main() -> int:
    arguments = argparse.ArgumentParser(description="What one verification costs.")
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    arguments.add_argument("--rounds", type=int, default=60, help="interleaved rounds of 50 calls each")
    options = arguments.parse_args()
    report = measure(options.rounds)
    print(json.dumps(report, indent=2) if options.json else _table(report))
    return 0


def measure(rounds: int) -> dict[str, Any]:
    """Run all contenders on a GET with four components and a POST with a body."""
    private_key = Ed25519PrivateKey.generate()
    now = int(time.time())
    get = _case("GET", private_key, now)
    post = _case("POST", private_key, now)
    timings = {case.name: _interleaved(_contenders(case, private_key, now), rounds) for case in (get, post)}
    speedups = {name: _ratio(each, "http_message_signatures", "engine") for name, each in timings.items()}
    return {
        "ratio_to_libsodium": _ratio(timings["GET"], "engine", "libsodium"),
        "speedup_over_http_message_signatures": min(speedups.values()),
        "speedup_over_http_message_signatures_by_method": speedups,
        "ratio_to_libsodium_without_memo": _ratio(timings["GET"], "engine_without_memo", "libsodium"),
        "ratio_to_libsodium_post": _ratio(timings["POST"], "engine", "libsodium"),
        "speedup_without_memo": {
            name: _ratio(each, "http_message_signatures", "engine_without_memo")
            for name, each in timings.items()
        },
        "microseconds": {
            name: {contender: round(statistics.median(values), 2) for contender, values in each.items()}
            for name, each in timings.items()
        },
        "caches": {
            "engine": "parsed component lists remembered (256 at most); nothing else",
            "engine_without_memo": "none",
            "http_message_signatures": "none between calls; key object loaded beforehand",
            "libsodium": "none",
        },
        "rounds": rounds,
        "calls_per_round": _CALLS_PER_ROUND,
        "python": sys.version.split()[0],
    }


def _case(method: str, private_key: Ed25519PrivateKey, now: int) -> Case:
    target = "/api/v1/schemas?limit=50&cursor=abc"
    body = (
        b"" if method == "GET" else json.dumps({"name": "orders", "fields": [{"name": "id"}] * 20}).encode()
    )
    fields = {
        "host": AUTHORITY,
        "date": "Fri, 20 Nov 2026 16:00:00 GMT",
        "user-agent": "benchmark/1",
        "accept": "*/*",
    }
    values = {
        "@method": method,
        "@target-uri": f"https://{AUTHORITY}{target}",
        "@authority": AUTHORITY,
        "date": fields["date"],
    }
    if body:
        fields |= {"content-type": "application/json", "content-digest": content_digest(body)}
        fields["content-length"] = str(len(body))
        del values["date"]
        values |= {name: fields[name] for name in ("content-type", "content-digest")}
    names = " ".join(f'"{name}"' for name in values)
    params = (
        f'({names});created={now};keyid="{KEYID}";alg="ed25519";nonce="b2Vb0yTq3mJ8aZk1vXc7Lw";tag="datafold"'
    )
    lines = [f'"{name}": {value}' for name, value in values.items()]
    base = "\n".join([*lines, f'"@signature-params": {params}']).encode()
    signature = private_key.sign(base)
    fields["signature-input"] = f"sig1={params}"
    fields["signature"] = f"sig1=:{_base64(signature)}:"
    return Case(method, method, target, fields, body, base, signature)


def _contenders(case: Case, private_key: Ed25519PrivateKey, now: int) -> dict[str, Callable[[], Any]]:
    public_raw = private_key.public_key().public_bytes_raw()
    keys = [StoredKey(load_public_key(public_raw.hex()))]
    policy = PROFILES["standard"]
    signed, length, null = case.signature + case.base, len(case.signature) + len(case.base), ffi.NULL

    def libsodium() -> None:
        if lib.crypto_sign_open(null, null, signed, length, public_raw):
            raise AssertionError("libsodium refused the signature")

    def engine() -> None:
        request = Request(
            method=case.method,
            raw_target=case.target,
            scheme="https",
            authority=AUTHORITY,
            fields=case.fields,
            body=case.body,
        )
        verify(request, policy=policy, keys_for=lambda _: keys, now=now)

    def engine_without_memo() -> None:
        engine_signatures._remembered_components.cache_clear()
        engine()

    return {
        "libsodium": libsodium,
        "engine": engine,
        "engine_without_memo": engine_without_memo,
        "http_message_signatures": _peer(case, private_key),
    }


def _peer(case: Case, private_key: Ed25519PrivateKey) -> Callable[[], Any]:
    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithms.ED25519,
        key_resolver=MappingKeyResolver(public_keys={KEYID: private_key.public_key()}, private_keys={}),
    )
    message = PeerRequest(case.method, f"https://{AUTHORITY}{case.target}", case.fields)
    body = case.body or None
    age = datetime.timedelta(days=1)
    return lambda: verifier.verify(message, max_age=age, expect_tag="datafold", body=body)


def _interleaved(contenders: dict[str, Callable[[], Any]], rounds: int) -> Timings:
    """Microseconds per call for each contender, round by round, measured in turns."""
    samples: Timings = {name: [] for name in contenders}
    for number in range(rounds + 2):
        for name, call in contenders.items():
            started = time.thread_time()
            for _ in range(_CALLS_PER_ROUND):
                call()
            elapsed = time.thread_time() - started
            if number >= 2:  # the first two rounds warm up
                samples[name].append(elapsed / _CALLS_PER_ROUND * 1e6)
    return samples


def _ratio(timings: Timings, above: str, below: str) -> float:
    pairs = zip(timings[above], timings[below], strict=True)
    return round(statistics.median(numerator / denominator for numerator, denominator in pairs), 3)


def _table(report: dict[str, Any]) -> str:
    lines = ["µs per verification     " + "".join(f"{name:>10}" for name in report["microseconds"])]
    for contender, cache in report["caches"].items():
        values = "".join(f"{each[contender]:>10.1f}" for each in report["microseconds"].values())
        lines.append(f"{contender:<24}{values}   cache: {cache}")
    lines.append(f"engine / libsodium (GET): {report['ratio_to_libsodium']}")
    speedup = report["speedup_over_http_message_signatures_by_method"]
    lines.append(
        "http-message-signatures / engine: " + ", ".join(f"{name} {each}" for name, each in speedup.items())
    )
    return "\n".join(lines)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


if __name__ == "__main__":
    sys.exit(main())
