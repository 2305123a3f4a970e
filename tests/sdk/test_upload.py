"""Files are streamed with a signed digest, by both clients, and again where the server asks for more."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
from datafold_sdk import ConfigurationError, DataFoldClient, PrivateKey, create_enhanced_http_client

from tests.sdk.server import Answer, Received, Reply, Server, refusal, success

ROWS = b'{"id": 1}\n' * 50_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.ndjson.gz"
    path.write_bytes(gzip.compress(ROWS))
    return path


def check_upload(server: Server, key: PrivateKey, file: Path) -> None:
    received = server.received[-1]
    received.verify({"app-1": key})
    assert received.body == file.read_bytes()
    assert (received.method, received.url) == (
        "POST",
        f"{server.url}/api/v1/schemas/x/versions/2/validate-file",
    )
    assert received.headers["Content-Type"] == "application/x-ndjson"
    assert received.headers["Content-Encoding"] == "gzip"
    assert "Transfer-Encoding" not in received.headers


def test_a_file_is_sent_with_its_digest_signed(
    server: Server, client: DataFoldClient, key: PrivateKey, file: Path
) -> None:
    assert client.schemas.validate_file("x", 2, file)["success"] is True
    check_upload(server, key, file)


async def test_the_async_client_sends_files_too(server: Server, key: PrivateKey, file: Path) -> None:
    async with create_enhanced_http_client(base_url=server.url) as client:
        client.configure_signing({"key_id": "app-1", "private_key": key.private_pem()})
        await client.schemas.validate_file("x", 2, file)
    check_upload(server, key, file)


def test_a_file_is_sent_again_where_more_must_be_signed(
    server: Server, client: DataFoldClient, key: PrivateKey, file: Path
) -> None:
    demand = (
        'sig1=("@method" "@target-uri" "@authority" "content-type" "content-digest");created;tag="datafold"'
    )

    def answer(_: Received) -> Reply:
        if len(server.received) == 1:
            return refusal(401, "COMPONENT_NOT_COVERED", headers={"Accept-Signature": demand})
        return success({})

    server.answer = answer
    client.schemas.validate_file("x", 2, file)
    assert len(server.received) == 2
    check_upload(server, key, file)


def test_a_name_that_is_nothing_but_packed_needs_a_media_type(
    server: Server, client: DataFoldClient, tmp_path: Path
) -> None:
    path = tmp_path / "rows.gz"
    path.write_bytes(gzip.compress(ROWS))
    with pytest.raises(ConfigurationError, match="media_type"):
        client.schemas.validate_file("x", 2, path)
    client.schemas.validate_file("x", 2, path, media_type="application/x-ndjson")
    assert server.received[0].headers["Content-Encoding"] == "gzip"


def changing(file: Path, to: bytes, server: Server) -> Answer:
    """A server under whose first refusal the file changes: it is sent again, as it was signed."""

    def answer(_: Received) -> Reply:
        if len(server.received) > 1:
            return success({})
        file.write_bytes(to)
        accept = 'sig1=("@method" "@target-uri" "@authority");created;tag="datafold"'
        return refusal(401, "COMPONENT_NOT_COVERED", headers={"Accept-Signature": accept})

    return answer


def test_what_is_appended_meanwhile_is_not_sent(
    server: Server, client: DataFoldClient, key: PrivateKey, tmp_path: Path
) -> None:
    log = tmp_path / "log.ndjson"
    log.write_bytes(ROWS)
    server.answer = changing(log, ROWS + b"{}\n", server)
    client.schemas.validate_file("x", 2, log)
    assert server.received[1].body == ROWS
    server.received[1].verify({"app-1": key})


def test_a_file_that_is_cut_meanwhile_is_a_typed_error(
    server: Server, client: DataFoldClient, tmp_path: Path
) -> None:
    log = tmp_path / "log.ndjson"
    log.write_bytes(ROWS)
    server.answer = changing(log, ROWS[:-1], server)
    with pytest.raises(ConfigurationError, match="was cut"):
        client.schemas.validate_file("x", 2, log)


async def test_the_async_client_tells_of_a_file_that_is_cut_too(
    server: Server, key: PrivateKey, tmp_path: Path
) -> None:
    log = tmp_path / "log.ndjson"
    log.write_bytes(ROWS)
    server.answer = changing(log, ROWS[:-1], server)
    async with create_enhanced_http_client(base_url=server.url) as client:
        client.configure_signing({"key_id": "app-1", "private_key": key.private_pem()})
        with pytest.raises(ConfigurationError, match="was cut"):
            await client.schemas.validate_file("x", 2, log)


def test_a_large_file_is_never_held_in_memory(server: Server, client: DataFoldClient, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_bytes(b"id,name\n" + b"1,somebody\n" * 2_000_000)
    server.answer = lambda _: success({})
    tracemalloc.start()
    try:
        client.schemas.validate_file("x", 2, path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The server of this test holds it, in this very process; the client must not hold it once more.
    assert peak < 1.9 * path.stat().st_size


def test_a_file_that_cannot_be_sent_is_told_before_anything_is_sent(
    server: Server, client: DataFoldClient, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="media_type"):
        client.schemas.validate_file("x", 2, tmp_path / "rows.bin")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        client.schemas.validate_file("x", 2, tmp_path / "absent.csv")
    assert server.received == []
