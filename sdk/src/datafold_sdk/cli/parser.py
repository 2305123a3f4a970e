"""The words and options of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from datafold_sdk import __version__
from datafold_sdk.keys import ALGORITHMS

from . import audit_commands, commands, schema_commands

_ENVIRONMENT = """\
environment:
  DATAFOLD_SERVER_URL        where the server is (http://127.0.0.1:8000)
  DATAFOLD_CLIENT_ID         who signs
  DATAFOLD_PRIVATE_KEY_FILE  the private key: a PEM or hex file that others cannot read
  DATAFOLD_PRIVATE_KEY       the private key itself (64 hex characters or PEM), or such a file
  DATAFOLD_SIGNING_PROFILE   strict, standard (default) or lenient
  DATAFOLD_PROFILE           which profile of the configuration file (default)

exit codes: 0 done, 1 refused, 2 wrong usage or configuration, 3 no usable answer,
            74 the result could not be written
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar; `run` in the result is the function to call."""
    common = _common_options()
    parser = argparse.ArgumentParser(
        prog="datafold",
        description="Keep a key, sign requests to a DataFold server, keep schemas, check receipts.",
        epilog=_ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"datafold-sdk {__version__}")
    words = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def word(name: str, run: Callable[[commands.Run], int], group: Any = words) -> argparse.ArgumentParser:
        about = (run.__doc__ or "").strip()
        added: argparse.ArgumentParser = group.add_parser(
            name, parents=[common], help=about, description=about
        )
        added.set_defaults(run=run)
        return added

    _key_words(word)
    _call_words(word)
    schemas = words.add_parser("schemas", help="Write, read and delete schemas.")
    _schema_words(word, schemas.add_subparsers(title="commands", metavar="COMMAND", required=True))
    audit = words.add_parser(
        "audit", help="Keep a checkpoint of the server's audit log, and check against it."
    )
    _audit_words(word, audit.add_subparsers(title="commands", metavar="COMMAND", required=True))
    return parser


def _common_options() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    options = common.add_argument_group("common options")
    options.add_argument("--json", dest="as_json", action="store_true", help="one JSON object, errors too")
    options.add_argument("--profile", help="profile of the configuration file")
    options.add_argument("--server-url", metavar="URL", help="where the server is")
    options.add_argument("--as", dest="as_client", metavar="CLIENT_ID", help="sign as this client")
    options.add_argument("--key-file", metavar="FILE", help="sign with this private key")
    options.add_argument(
        "--timeout", type=_seconds, default=30.0, metavar="SECONDS", help="give up after (30)"
    )
    return common


def _key_words(word: Callable[..., argparse.ArgumentParser]) -> None:
    keygen = word("keygen", commands.keygen)
    keygen.add_argument("--algorithm", choices=ALGORITHMS, default="ed25519")
    keygen.add_argument(
        "--out", metavar="FILE", help="a new file; by default one that this profile then uses"
    )
    register = word("register", commands.register)
    register.add_argument("--client-id", help="the name to be known by; the server makes one up otherwise")
    register.add_argument("--name", help="a name for the key")
    register.add_argument("--metadata", type=_pair, action="append", default=[], metavar="NAME=VALUE")
    register.add_argument("--token", metavar="TOKEN", help="enrolment token, or @file that holds it")
    register.add_argument("--algorithm", choices=ALGORITHMS, help="for a new key (ed25519)")
    status = word("status", commands.status)
    status.add_argument("client_id", nargs="?", metavar="CLIENT_ID")
    rotate = word("rotate", commands.rotate)
    rotate.add_argument(
        "--grace", type=int, metavar="SECONDS", help="for how long the old key still verifies"
    )
    rotate.add_argument("--algorithm", choices=ALGORITHMS, help="for the new key (as the old one)")
    rotate.add_argument("--out", metavar="FILE", help="a new file for the new key")
    revoke = word("revoke", commands.revoke)
    revoke.add_argument("--reason", default="unspecified", help="RFC 5280, such as keyCompromise")
    revoke.add_argument("--yes", action="store_true", help="yes, for good")


def _call_words(word: Callable[..., argparse.ArgumentParser]) -> None:
    word("me", commands.me)
    request = word("request", commands.request)
    request.add_argument("method", metavar="METHOD")
    request.add_argument("path", metavar="PATH", help="such as /api/v1/auth/me")
    request.add_argument("--data", metavar="JSON", help="the body: JSON, @file, or - for standard input")
    signing = request.add_mutually_exclusive_group()
    signing.add_argument(
        "--sign", dest="sign", action="store_true", default=None, help="refuse to send unsigned"
    )
    signing.add_argument("--no-sign", dest="sign", action="store_false", help="send unsigned")
    receipt = word("verify-receipt", commands.check_receipt)
    receipt.add_argument("file", metavar="FILE", help="a receipt, or - for standard input")
    config = word("config", commands.config)
    config.add_argument(
        "setting", nargs="*", type=_pair, metavar="NAME=VALUE", help="store; an empty value removes"
    )


def _page_options(listing: argparse.ArgumentParser) -> None:
    listing.add_argument("--limit", type=int)
    listing.add_argument("--cursor")


def _schema_words(word: Callable[..., argparse.ArgumentParser], group: Any) -> None:
    listing = word("list", schema_commands.list_schemas, group)
    _page_options(listing)
    get = word("get", schema_commands.get_schema, group)
    get.add_argument("name", metavar="NAME")
    get.add_argument("version", nargs="?", type=int, metavar="NUMBER")
    get.add_argument("--format", help="convert a version, or the newest: jsonschema, avro, typescript, …")
    create = word("create", schema_commands.create_schema, group)
    create.add_argument("name", metavar="NAME")
    create.add_argument("data", metavar="JSON", help="the fields or document: JSON, @file, or -")
    create.add_argument("--format", choices=("fields", "jsonschema", "avro"))
    create.add_argument("--version", metavar="TEXT", help="such as 1.0.0")
    create.add_argument("--description")
    create.add_argument("--add", action="store_true", help="a further version of an existing schema")
    check = word("check", schema_commands.check_schema, group)
    check.add_argument("name", metavar="NAME")
    check.add_argument("data", metavar="JSON", help="the fields or document: JSON, @file, or -")
    check.add_argument("--format", choices=("fields", "jsonschema", "avro"))
    check.add_argument("--mode", help="such as BACKWARD; the schema's own by default")
    check.add_argument("--policy", choices=("exact", "lenient"))
    check.add_argument("--against", metavar="WHAT", help="latest, in_use or the number of a version")
    versions = word("versions", schema_commands.list_versions, group)
    versions.add_argument("name", metavar="NAME")
    _page_options(versions)
    delete = word("delete", schema_commands.delete_schema, group)
    delete.add_argument("name", metavar="NAME")
    receipt = word("receipt", schema_commands.get_receipt, group)
    receipt.add_argument("name", metavar="NAME")
    receipt.add_argument("version", type=int, metavar="NUMBER")


def _audit_words(word: Callable[..., argparse.ArgumentParser], group: Any) -> None:
    pin = word("pin", audit_commands.pin, group)
    check = word("check", audit_commands.check, group)
    check.add_argument("--event", type=int, metavar="ID", help="prove that this event is in the log")
    for each in (pin, check):
        each.add_argument(
            "--file", metavar="FILE", help="the kept checkpoint; by default one of this profile"
        )


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value
