from __future__ import annotations

import ast
from importlib.metadata import version
from pathlib import Path

import datafold_sdk

PACKAGE = Path(datafold_sdk.__file__).parent
PUBLIC_NAMES = """
    PROFILES APIError AsyncDataFoldClient AuthenticationError BadRequestError Checkpoint CheckpointPin ClockError
    ConfigurationError
    ConflictError Credentials DataFoldClient DataFoldError DemandCache InvalidKeyError InvalidResponseError
    KeyStateError NonceReusedError NotFoundError PermissionDeniedError PrivateKey Profile RateLimitedError
    ReceiptCheck ReceiptResult RedirectRefusedError RequestTimeoutError RotationAuth SchemaIncompatibleError
    ServerError ServerKeys ServiceUnavailableError SignatureAuth SignatureDemand SignatureError
    SignatureMismatchError SigningError SigningMode TransportError ValidationError VerificationError
    VerifiedMessage __version__ create_enhanced_http_client create_http_client generate_key_pair
    jwk_thumbprint parse_accept_signature verify_chain verify_checkpoint verify_inclusion verify_receipt
    verify_response verify_webhook
"""


def test_the_public_names_are_these() -> None:
    assert sorted(datafold_sdk.__all__) == sorted(PUBLIC_NAMES.split())
    assert all(hasattr(datafold_sdk, name) for name in datafold_sdk.__all__)


def test_the_version_is_the_distributions() -> None:
    assert datafold_sdk.__version__ == version("datafold-sdk")


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def test_the_sdk_imports_nothing_of_the_server() -> None:
    foreign = {"django", "rest_framework", "project", "accounts", "keys", "schemas", "httpx"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not {alias.name.split(".")[0] for alias in node.names} & foreign, path
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                assert (node.module or "").split(".")[0] not in foreign, path


def test_both_clients_have_the_same_methods() -> None:
    def names(cls: type) -> set[str]:
        return {name for name in dir(cls) if not name.startswith("_")}

    assert names(datafold_sdk.AsyncDataFoldClient) - names(datafold_sdk.DataFoldClient) == {"aclose"}
    assert names(datafold_sdk.DataFoldClient) <= names(datafold_sdk.AsyncDataFoldClient)
