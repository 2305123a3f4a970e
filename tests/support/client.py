"""Test clients for Django in this process: with the raw target that gunicorn hands over, and signing."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.test import Client

from tests.support.signing import SignedRequest, Signer

ORIGIN = "http://testserver"


class WireClient(Client):
    """Django's test client, with `RAW_URI` as it would have stood on the wire."""

    def generic(self, method: str, path: Any, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(str(path))
        query = str(kwargs.get("QUERY_STRING") or parts.query)
        kwargs.setdefault("HTTP_HOST", "testserver")
        kwargs.setdefault("RAW_URI", parts.path + (f"?{query}" if query else ""))
        return super().generic(method, path, *args, **kwargs)

    def send(self, signed: SignedRequest) -> Any:
        """Send a signed request as it is."""
        content_type = signed.headers.get("Content-Type", "application/octet-stream")
        headers = {name: value for name, value in signed.headers.items() if name != "Content-Type"}
        return self.generic(
            signed.method,
            signed.url.removeprefix(ORIGIN),
            signed.content,
            content_type if signed.content else "",
            headers=headers,
        )


class SignedClient(WireClient):
    """Signs every call of `call` with an independent signer."""

    def __init__(self, signer: Signer, **defaults: Any) -> None:
        super().__init__(**defaults)
        self.signer = signer

    def call(self, method: str, path: str, json_body: Any = None, **signing: Any) -> Any:
        """Sign and send; `signing` as for `Signer.sign`. Answers Django's test response."""
        return self.send(self.signer.sign(method, ORIGIN + path, json_body=json_body, **signing))
