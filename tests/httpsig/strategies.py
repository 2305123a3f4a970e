"""Hypothesis strategies: structured fields, and hostile text that nearly is one."""

from decimal import Decimal

from hypothesis import strategies as st

from keys.httpsig import sf

KEYS = st.from_regex(r"[a-z*][a-z0-9_\-.*]{0,8}", fullmatch=True)
STRINGS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
BARE_ITEMS = st.one_of(
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.booleans(),
    STRINGS,
    st.from_regex(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]{0,8}", fullmatch=True).map(sf.Token),
    st.binary(max_size=20),
    st.integers(-(10**12), 10**12).map(sf.Date),
    st.text(max_size=10).map(sf.DisplayString),
    st.integers(-(10**15) + 1, 10**15 - 1).map(lambda thousandths: Decimal(thousandths) / 1000),
)
PARAMETERS = st.dictionaries(KEYS, BARE_ITEMS, max_size=4)
ITEMS = st.builds(sf.Item, BARE_ITEMS, PARAMETERS)
MEMBERS = st.one_of(ITEMS, st.builds(sf.InnerList, st.lists(ITEMS, max_size=4), PARAMETERS))
DICTIONARIES = st.dictionaries(KEYS, MEMBERS, max_size=4)

# Text out of the pieces that the two fields are made of: valid, nearly valid and far from it.
_PIECES = [
    "sig1", "sig2", "=", "(", ")", ";", ",", " ", "\t", ":", '"', "\\", "?1", "@1", "%", "1", "-", ".", "0",
    '"@method"', '"@target-uri"', '"content-digest"', '"@query-param";name="a"', '"x";sf', '"x";key="k"', '"@status"',
    ";created=1700000000", ";created=01", ";created", ";created=1.5", ";expires=1700000100", ";keyid=\"orders\"",
    ";keyid=orders", ";nonce=\"b2Vb0yTq3mJ8aZk1vXc7Lw\"", ";alg=\"ed25519\"", ";tag=\"datafold\"", ";x=\"y\"", ";x",
    "sig1=(", "sig1=()", "sig1=:", ":AAAA:", ":AA==:", "sig1=:AAAA:", "sig1=::", "=:", "caf\xe9", "\x00", "\n", "A",
]  # fmt: skip
SIGNATURE_TEXT = st.lists(st.sampled_from(_PIECES), max_size=14).map("".join) | st.text(max_size=60)

# Pairs of fields around the border between the short way of parsing and the general one: most parts are in
# canonical spelling, and now and then one is not.
_GOOD_COMPONENTS = [
    '"@method"',
    '"@target-uri"',
    '"@authority"',
    '"date"',
    '"x"',
    '"x";req',
    '"x";key="a;b"',
    '"x";a;b;c',
]
_ODD_COMPONENTS = [
    '"X"', '" "', '""', '"a b"', '"x";a;b', '"x";b;a', '"@method" ', ' "y"', '"x";sf=?1', '"x"; sf', '"("', "y",
    '"x"\t', '"caf\xe9"', '"a\\\\"',
]  # fmt: skip
_GOOD_PARAMS = [
    ";created=1700000000", ";expires=1700000060", ';keyid="a"', ';alg="ed25519"', ';nonce="n"', ';tag="t"',
]  # fmt: skip
_ODD_PARAMS = [
    ";created=0", ";created=00", ";created=-1", ';created="1"', ";x=1", ';x="y"', ";created=1000000000000000",
    ";created=999999999999999", ";created=@1", ';keyid=""', ';keyid="a;created=1"', ";keyid=a", ';nonce="\\""',
    ";nonce=:AAAA:", '; nonce="n"', ';nonce="caf\xe9"', ";alg", ';tag="' + "t" * 1100 + '"', " ", ";", ";created=1",
    ';keyid="' + "k" * 30 + '"', ';a="1";b="2";c="3"',
]  # fmt: skip
_GOOD_SIGNATURES = ["sig1=:AAAA:", "sig1=:AAA=:", "sig1=:AA==:", "sig1=:AB==:", "sig1=::"]
_ODD_SIGNATURES = [
    "sig1=:AAA:", "sig1=:A:", "sig1=:", "sig1=:AA=A:", "sig1=:A===:", "sig1=:====:", "sig1=:=:", "sig1=:A\nAA:",
    "sig1=:A-_A:", "sig1=:AAAA:;x", "sig1= :AAAA:", "sig2=:AAAA:", "*=:AAAA:", "sig1=:AAAA: ", " sig1=:AAAA:",
    "sig1=:AAAA:, sig1=:AAAA:", "sig1", "", "sig1=:\xe9AA:", "sig1=:AAAA==:", "sig1=:AAA==:", "sig1=:AAAA::AAAA:",
]  # fmt: skip


@st.composite
def _mostly(draw: st.DrawFn, good: list[str], odd: list[str]) -> str:
    return draw(st.sampled_from(odd if draw(st.integers(0, 9)) == 0 else good))


@st.composite
def signature_fields(draw: st.DrawFn) -> tuple[str, str]:
    """The values of ``Signature-Input`` and ``Signature``."""
    label = draw(_mostly(["sig1="], ["sig2=", "Sig1=", "*=", " sig1=", "sig1"]))
    components = draw(st.lists(_mostly(_GOOD_COMPONENTS, _ODD_COMPONENTS), max_size=4, unique=True))
    params = draw(
        st.lists(_mostly(_GOOD_PARAMS, _ODD_PARAMS), max_size=6, unique=draw(st.integers(0, 4)) > 0)
    )
    signature = draw(_mostly(_GOOD_SIGNATURES, _ODD_SIGNATURES))
    return f"{label}({' '.join(components)}){''.join(params)}", signature
