"""``Accept-Signature`` (RFC 9421 section 5): asking for a signature, and reading such a request."""

from collections.abc import Collection
from dataclasses import dataclass

from . import sf
from .components import Component, Components
from .errors import SignatureMalformed, SignatureTooLarge
from .policy import Limits, Policy

_METHODS_WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class SignatureRequest:
    """One member of ``Accept-Signature``: sign these components, under this label, with these parameters.

    ``created`` and ``expires`` are flags: the signer is to choose the time. The others are values to use.
    """

    label: str
    components: Components
    created: bool = False
    expires: bool = False
    nonce: str | None = None
    alg: str | None = None
    keyid: str | None = None
    tag: str | None = None


def accept_signature_for(
    policy: Policy,
    *,
    method: str,
    has_body: bool | None = None,
    fields: Collection[str] = (),
    label: str = "sig1",
    tag: str | None = None,
    nonce: str | None = None,
) -> str:
    """The ``Accept-Signature`` value that tells a client what ``policy`` wants to see signed.

    has_body: whether the call carries content; where it is not known, the method tells what is usual.
    fields: the names of the fields that the request carries, for what must be covered if it is there.
    tag: that of the signature, if it is not the policy's.
    nonce: a value for the signer to repeat, where the server hands out nonces.
    """
    if has_body is None:
        has_body = method in _METHODS_WITH_CONTENT
    items = [sf.Item(name, {}) for name in wanted_components(policy, has_body=has_body, fields=fields)]
    params: sf.Parameters = {"created": True}
    if nonce is not None:
        params["nonce"] = nonce
    params["tag"] = tag or policy.tag
    return sf.serialize_dictionary({label: sf.InnerList(items, params)})


def wanted_components(policy: Policy, *, has_body: bool, fields: Collection[str] = ()) -> list[str]:
    """The names of the components to cover: of each requirement the first alternative."""
    names = [name for requirement in policy.required_components for name in sorted(requirement[0])]
    if has_body:
        names += policy.body_components
    names += (name for name in policy.covered_if_present if name in fields)
    return list(dict.fromkeys(names))


def parse_accept_signature(value: str, limits: Limits | None = None) -> list[SignatureRequest]:
    """The signatures that ``Accept-Signature`` asks for, in its order of preference.

    Raises :class:`SignatureTooLarge` or :class:`SignatureMalformed`.
    """
    limits = limits or Limits()
    if len(value) > limits.signature_input_bytes:
        raise SignatureTooLarge(
            f"Accept-Signature has {len(value)} bytes; the limit is {limits.signature_input_bytes}.",
            size=len(value),
            limit=limits.signature_input_bytes,
        )
    members = sf.parse_dictionary(value, unique=True)
    if len(members) > limits.signatures:
        raise SignatureTooLarge(
            f"Accept-Signature asks for {len(members)} signatures; the limit is {limits.signatures}.",
            size=len(members),
            limit=limits.signatures,
        )
    return [_signature_request(label, member, limits) for label, member in members.items()]


def _signature_request(label: str, member: sf.Member, limits: Limits) -> SignatureRequest:
    if not isinstance(member, sf.InnerList):
        raise SignatureMalformed(f"{label} in Accept-Signature is not a list of components in parentheses.")
    if len(member.items) > limits.components:
        raise SignatureTooLarge(
            f"Accept-Signature lists {len(member.items)} components; the limit is {limits.components}."
        )
    components = []
    for name, params in member.items:
        if type(name) is not str:
            raise SignatureMalformed("A component in Accept-Signature is not a String in double quotes.")
        components.append(Component(name, params))
    return SignatureRequest(
        label,
        Components(components),
        created=_flag("created", member.params),
        expires=_flag("expires", member.params),
        nonce=_string("nonce", member.params),
        alg=_string("alg", member.params),
        keyid=_string("keyid", member.params),
        tag=_string("tag", member.params),
    )


def _flag(name: str, params: sf.Parameters) -> bool:
    value = params.get(name, False)
    if not isinstance(value, bool):
        raise SignatureMalformed(f"The parameter {name} of Accept-Signature takes no value.", parameter=name)
    return value


def _string(name: str, params: sf.Parameters) -> str | None:
    value = params.get(name)
    if value is None or type(value) is str:
        return value
    raise SignatureMalformed(f"The parameter {name} of Accept-Signature is not a String.", parameter=name)
