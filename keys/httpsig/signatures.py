"""Reading ``Signature-Input`` and ``Signature`` (RFC 9421 section 4) into what they claim."""

import binascii
import re
from collections.abc import Sequence
from functools import lru_cache

from . import sf
from .components import Component, Components
from .errors import (
    SignatureAmbiguous,
    SignatureError,
    SignatureMalformed,
    SignatureMissing,
    SignatureTooLarge,
)
from .message import Message
from .policy import Limits

# RFC 9421 section 2.3, by type. Other parameters are accepted: they are covered like all the rest.
_INTEGER_PARAMS = frozenset({"created", "expires"})
_STRING_PARAMS = frozenset({"nonce", "alg", "keyid", "tag"})

# One signature in canonical spelling, which is what nearly every client sends. Whatever does not match, or
# is refused, goes through `parse_general`; a test holds the two to the same result.
_COMMON_START = re.compile(r"([a-z*][a-z0-9_\-.*]*)=(\([ !-'*-\[\]-~]*\))")
_INTEGER = r"(0|[1-9][0-9]{0,14})"
_STRING = r'"([ !#-\[\]-~]*)"'
_COMMON_PARAMS = re.compile(
    rf"(?:;(?:created={_INTEGER}|expires={_INTEGER}"
    rf"|keyid={_STRING}|alg={_STRING}|nonce={_STRING}|tag={_STRING}))*"
)

# A client covers the same components in every request, so the parsed list is remembered. Both numbers bound
# the memory that hostile lists can take; a list that is not remembered only costs its parsing.
_MEMO_CHARS = 400
_MEMO_LISTS = 256


class UnverifiedSignature:
    """One signature as it was claimed. Nothing in here is true before ``check_signature`` has passed.

    params_text is the canonical value of ``@signature-params``: component list and parameters.
    """

    __slots__ = (
        "alg",
        "components",
        "created",
        "expires",
        "keyid",
        "label",
        "nonce",
        "params_text",
        "raw_signature",
        "tag",
        "unverified_params",
    )

    def __init__(
        self,
        label: str,
        components: Components,
        unverified_params: dict[str, sf.BareItem],
        params_text: str,
        raw_signature: bytes,
    ) -> None:
        self.label = label
        self.components = components
        self.unverified_params = unverified_params
        self.params_text = params_text
        self.raw_signature = raw_signature
        get = unverified_params.get
        self.created: int | None = get("created")  # type: ignore[assignment]  # checked by _check_params
        self.expires: int | None = get("expires")  # type: ignore[assignment]
        self.nonce: str | None = get("nonce")  # type: ignore[assignment]
        self.alg: str | None = get("alg")  # type: ignore[assignment]
        self.keyid: str | None = get("keyid")  # type: ignore[assignment]
        self.tag: str | None = get("tag")  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<UnverifiedSignature {self.label}={self.params_text}>"


def parse_signatures(message: Message, limits: Limits) -> list[UnverifiedSignature]:
    """All signatures that a message claims, in the order of ``Signature-Input``.

    Raises :class:`SignatureMissing`, :class:`SignatureTooLarge` or :class:`SignatureMalformed`.
    """
    raw_input = message.fields.get("signature-input")
    raw_signature = message.fields.get("signature")
    if raw_input is None or raw_signature is None:
        raise _missing(raw_input, raw_signature)
    if len(raw_input) > limits.signature_input_bytes:
        raise _too_large("Signature-Input", len(raw_input), limits.signature_input_bytes, "bytes")
    if len(raw_signature) > limits.signature_bytes:
        raise _too_large("Signature", len(raw_signature), limits.signature_bytes, "bytes")
    signature = _parse_common(raw_input, raw_signature, limits)
    return parse_general(raw_input, raw_signature, limits) if signature is None else [signature]


def select_signature(
    signatures: Sequence[UnverifiedSignature], tag: str = "datafold", *, required: bool = False
) -> UnverifiedSignature:
    """The signature meant for this verifier: the one tagged so; else, unless ``required``, the only one.

    Raises :class:`SignatureAmbiguous`, or :class:`SignatureMissing` if the tag is required and absent.
    """
    if len(signatures) == 1 and (signatures[0].tag == tag or not required):
        return signatures[0]
    tagged = [signature for signature in signatures if signature.tag == tag]
    if len(tagged) == 1:
        return tagged[0]
    labels = [signature.label for signature in signatures]
    if len(tagged) > 1:
        raise SignatureAmbiguous(
            f'{len(tagged)} signatures carry tag="{tag}"; this call takes exactly one.', labels=labels
        )
    if required:
        raise SignatureMissing(
            f'No signature carries tag="{tag}". Add that parameter and sign again.', labels=labels
        )
    raise SignatureAmbiguous(
        f'The message carries {len(signatures)} signatures, none with tag="{tag}". Tag the one meant.',
        labels=labels,
    )


def _parse_common(raw_input: str, raw_signature: str, limits: Limits) -> UnverifiedSignature | None:
    """The one signature in canonical spelling; None sends the fields to :func:`parse_general`."""
    found = _COMMON_START.match(raw_input)
    if found is None:
        return None
    label, list_text = found.groups()
    prefix = f"{label}=:"
    if (
        len(list_text) > _MEMO_CHARS
        or not raw_signature.startswith(prefix)
        or not raw_signature.endswith(":", len(prefix))
    ):
        return None
    components = _remembered_components(list_text)
    params = _parse_common_params(raw_input[found.end() :], limits)
    if components is None or params is None:
        return None
    if len(components.items) > limits.components or components.most_params > limits.params:
        return None
    try:
        value = binascii.a2b_base64(raw_signature[len(prefix) : -1], strict_mode=True)
    except ValueError:
        return None
    return UnverifiedSignature(label, components, params, raw_input[found.start(2) :], value)


def _parse_common_params(text: str, limits: Limits) -> dict[str, sf.BareItem] | None:
    match = _COMMON_PARAMS.fullmatch(text)
    if match is None or len(text) > limits.string_chars:
        return None
    params: dict[str, sf.BareItem] = {}
    created, expires, keyid, alg, nonce, tag = match.groups()
    if created is not None:
        params["created"] = int(created)
    if expires is not None:
        params["expires"] = int(expires)
    if keyid is not None:
        params["keyid"] = keyid
    if alg is not None:
        params["alg"] = alg
    if nonce is not None:
        params["nonce"] = nonce
    if tag is not None:
        params["tag"] = tag
    # A group holds its last match: if one came twice, there are more semicolons than parameters.
    return params if len(params) == text.count(";") and len(params) <= limits.params else None


@lru_cache(maxsize=_MEMO_LISTS)
def _remembered_components(list_text: str) -> Components | None:
    """The component list, or None if it is to be refused, which `parse_general` does with the reason."""
    try:
        (member,) = sf.parse_list(list_text, unique=True)
        components = _components(member.items if isinstance(member, sf.InnerList) else [], Limits())
    except SignatureError:
        return None
    return components if components.text == list_text else None


def parse_general(raw_input: str, raw_signature: str, limits: Limits) -> list[UnverifiedSignature]:
    """Any well-formed pair of fields, in any spelling that RFC 9651 allows."""
    inputs = _dictionary("Signature-Input", raw_input)
    values = _dictionary("Signature", raw_signature)
    if not inputs:
        raise _missing(None, None)
    if len(inputs) > limits.signatures:
        raise _too_large("Signature-Input", len(inputs), limits.signatures, "signatures")
    if inputs.keys() != values.keys():
        raise SignatureMalformed(
            "Signature-Input and Signature do not carry the same labels. Each signature needs both, under one label.",
            signature_input_labels=sorted(inputs),
            signature_labels=sorted(values),
        )
    return [_signature(label, member, values[label], limits) for label, member in inputs.items()]


def _signature(label: str, member: sf.Member, value: sf.Member, limits: Limits) -> UnverifiedSignature:
    if not isinstance(member, sf.InnerList):
        raise SignatureMalformed(f"{label} in Signature-Input is not a list of components in parentheses.")
    if not isinstance(value, sf.Item) or not isinstance(value.value, bytes):
        raise SignatureMalformed(f"{label} in Signature is not a Byte Sequence (base64 between colons).")
    components = _components(member.items, limits)
    _check_params(label, member.params, limits)
    params_text = components.text + sf.serialize_parameters(member.params)
    return UnverifiedSignature(label, components, member.params, params_text, value.value)


def _components(items: Sequence[sf.Item], limits: Limits) -> Components:
    if len(items) > limits.components:
        raise _too_large("Signature-Input", len(items), limits.components, "components")
    components = []
    for name, params in items:
        if type(name) is not str:
            raise SignatureMalformed("A covered component is not a String in double quotes.")
        if len(params) > limits.params:
            raise _too_large("A component", len(params), limits.params, "parameters")
        components.append(Component(name, params))
    return Components(components)


def _check_params(label: str, params: dict[str, sf.BareItem], limits: Limits) -> None:
    if len(params) > limits.params:
        raise _too_large(label, len(params), limits.params, "parameters")
    for name, value in params.items():
        if name in _STRING_PARAMS and type(value) is not str:
            raise SignatureMalformed(f"The signature parameter {name} is not a String.", parameter=name)
        if name in _INTEGER_PARAMS and (type(value) is not int or value < 0):
            raise SignatureMalformed(
                f"The signature parameter {name} is not an Integer: seconds since 1970, UTC, without quotes.",
                parameter=name,
            )
        if isinstance(value, str) and len(value) > limits.string_chars:
            raise _too_large(f"The signature parameter {name}", len(value), limits.string_chars, "characters")


def _dictionary(field: str, text: str) -> dict[str, sf.Member]:
    try:
        return sf.parse_dictionary(text, unique=True)
    except SignatureMalformed as error:
        raise SignatureMalformed(f"{field}: {error.message}", field=field, **error.details) from None


def _missing(raw_input: str | None, raw_signature: str | None) -> SignatureError:
    if raw_input is None and raw_signature is None:
        return SignatureMissing(
            "The request is not signed. Sign it as the Accept-Signature field of this answer asks (RFC 9421)."
        )
    present, absent = (
        ("Signature-Input", "Signature") if raw_signature is None else ("Signature", "Signature-Input")
    )
    older = (
        " This looks like an older draft (cavage), which is not the same: see RFC 9421."
        if raw_signature is not None and "keyid=" in raw_signature.lower()
        else ""
    )
    return SignatureMalformed(f"The message has {present} but no {absent}. Each signature needs both.{older}")


def _too_large(what: str, size: int, limit: int, unit: str) -> SignatureTooLarge:
    return SignatureTooLarge(
        f"{what} has {size} {unit}; the limit is {limit}.", size=size, limit=limit, unit=unit
    )
