"""The signature base (RFC 9421 section 2.5): the bytes that a signature signs."""

import hashlib
import re
from collections.abc import Mapping, Sequence

from .components import STRUCTURED_FIELDS, Components
from .errors import ComponentUnknown
from .message import Message
from .signatures import UnverifiedSignature

_NOT_IN_LINE = re.compile(r"[^\t -~]")
_IN_LINE = b"\t" + bytes(range(0x20, 0x7F))  # what is left without them are the line feeds between lines
_IDENTIFIER = re.compile(r'"[^"]*"(?:;[a-z*][a-z0-9_\-.*]*(?:="(?:[^"\\]|\\.)*"|=[^";: ]*)?)*(?=: )')


def signature_base(
    signature: UnverifiedSignature,
    message: Message,
    structured_fields: Mapping[str, str] = STRUCTURED_FIELDS,
) -> bytes:
    """The bytes that ``signature`` must be a signature of, were it made for ``message``.

    structured_fields: the type (``item``, ``list``, ``dictionary``) of each field that ``;sf`` may name.
    Raises :class:`ComponentUnknown` if a component has no value that can be signed.
    """
    return build_base(signature.components, signature.params_text, message, structured_fields)


def build_base(
    components: Components,
    params_text: str,
    message: Message,
    structured_fields: Mapping[str, str] = STRUCTURED_FIELDS,
) -> bytes:
    """The base for components and the value of ``@signature-params``, which signer and verifier share."""
    lines = components.lines(message, structured_fields)
    lines.append(f'"@signature-params": {params_text}')
    try:
        base = "\n".join(lines).encode("ascii")
    except UnicodeEncodeError:
        raise _unsafe(components, lines) from None
    if len(base.translate(None, _IN_LINE)) != len(lines) - 1:
        raise _unsafe(components, lines)
    return base


def line_digests(base: bytes) -> list[dict[str, str]]:
    """For each line of a base: the component's identifier and the SHA-256 (hex) of the whole line."""
    return [
        {"component": _identifier(line), "sha256": hashlib.sha256(line).hexdigest()}
        for line in base.split(b"\n")
    ]


def _identifier(line: bytes) -> str:
    text = line.decode("ascii")
    match = _IDENTIFIER.match(text)
    return match[0] if match is not None else text[:64]


def _unsafe(components: Components, lines: Sequence[str]) -> ComponentUnknown:
    """The refusal of the first line with a character that no base may hold."""
    texts = [component.text for component in components] + ['"@signature-params"']
    found = next(text for text, line in zip(texts, lines, strict=True) if _NOT_IN_LINE.search(line))
    return ComponentUnknown(
        f"The value of {found} holds a control or non-ASCII character, which a signature "
        "cannot cover. Encode it, or leave the component out.",
        component=found,
    )
