"""`datafold`: the command line of the SDK.

Exit codes: 0 done; 1 the server refused, or a proof does not hold; 2 wrong usage or configuration, nothing
was sent; 3 no usable answer came; 74 the result could not be written.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence

from datafold_sdk.errors import ConfigurationError, DataFoldError, InvalidResponseError, TransportError

from .commands import REFUSED, Run
from .output import Output
from .parser import build_parser
from .store import Store

USAGE = 2
TRANSPORT = 3
UNWRITTEN = 74  # EX_IOERR of sysexits.h
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: without the program's name; the process's by default.
        environ: the environment; the process's by default.

    Returns:
        The exit code. Wrong usage ends in argparse's SystemExit(2).
    """
    environ = os.environ if environ is None else environ
    options = build_parser().parse_args(arguments)
    output = Output(as_json=options.as_json)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # As on stderr: a name never ends a command.
    try:
        store = Store(environ, options.profile or environ.get("DATAFOLD_PROFILE") or "default")
        code: int = options.run(Run(options, store, output))
    except DataFoldError as error:
        output.error(error)
        return _exit_code(error)
    except OSError as error:  # Such as a full disk below standard output.
        output.warn(f"datafold: the result cannot be written: {error.strerror or error}.")
        return UNWRITTEN
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _exit_code(error: DataFoldError) -> int:
    if isinstance(error, ConfigurationError):
        return USAGE
    if isinstance(error, (TransportError, InvalidResponseError)):
        return TRANSPORT
    return REFUSED
