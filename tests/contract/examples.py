"""Sending the examples that the OpenAPI document gives for the bodies of its calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests

from tests.contract.world import World

# The signing key's own end: what comes after could not be signed.
LAST_WORDS = "crypto_keys_revoke_destroy"


def documented_examples(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By operationId and name, the values."""
    return {
        operation["operationId"]: {name: example["value"] for name, example in examples.items()}
        for methods in document["paths"].values()
        for operation in methods.values()
        if (examples := _json_body(operation).get("examples"))
    }


def _json_body(operation: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return body


def send_examples(world: World, document: dict[str, Any]) -> Iterator[tuple[str, str, requests.Response]]:
    """(operationId, name, answer) of each example, about things that are there."""
    places = {name: str(values[0]) for name, values in world.places.items()}
    examples = documented_examples(document)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for name, value in examples.get(operation["operationId"], {}).items():
                if operation["operationId"] != LAST_WORDS:
                    answer = world.session.request(
                        method,
                        world.server.base_url + path.format(**places),
                        json=value,
                        auth=world.auth(operation["security"]),
                        timeout=30,
                    )
                    yield operation["operationId"], name, answer
