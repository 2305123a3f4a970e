"""What fuzzing begins with: an honest text for each target, and the pieces that such texts are made of."""

from __future__ import annotations

from keys.httpsig import content_digest
from tests.fuzz.targets import COVERED, PARAMS, WRONG_SIGNATURE

_INPUT = f"sig1={COVERED}{PARAMS}"


SEEDS: dict[str, list[str]] = {
    "structured-fields": [
        _INPUT,
        'a=1, b=?0, c=(1.5 "x";q=:aGk=:), d=@1700000000, e=%"caf%c3%a9", f',
        'tok;a=1, "s\\"\\\\", (a b);c',
        "-999999999999999.999",
    ],
    "signature-fields": [
        f"{_INPUT}\n{WRONG_SIGNATURE}",
        f'{_INPUT}, sig2=("x";sf "y";key="k" "z";bs);expires=1\n{WRONG_SIGNATURE}, sig2=:AAAA:',
        "sig1=();created=0\nsig1=::",
    ],
    "request": [
        "\n".join((f"{COVERED}{PARAMS}", WRONG_SIGNATURE, "path?a=1&b=%2f", "x-a", "1, 2")),
        "\n".join(
            (f"{COVERED};expires=1700000300{PARAMS}", "", "a//b/../%41", "X-HTTP-Method-Override", "GET")
        ),
    ],
    "components": [
        '"@authority" "@scheme" "@request-target" "@path" "@query"\na=1&b=2\nx',
        '"@query-param";name="a" "x";sf "x";key="k" "content-digest";key="sha-256"\na=%zz&a=+\nk=1, l="2"',
        '"x";bs "x";tr "@status" "@method";req\n\nx',
    ],
    "messages": [
        "GET\n/a?b=c\nexample.com:443\nx\n1",
        "POST\nhttps://example.com/a\nexample.com\nContent-Length\n3",
        "OPTIONS\n*\n[::1]:8000\nTransfer-Encoding\nchunked",
    ],
    "fields": [
        'sig1=("@method" "@target-uri");created;tag="datafold", sig2=();nonce="n";keyid="k";alg="ed25519";expires',
        content_digest(b"body", ("sha-256", "sha-512")),
        f"{content_digest(b'body')}, md5=:AAAA:",
    ],
    "public-keys": [
        "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
        "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
        "P-256\nMKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\n4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    ],
}

PIECES = [
    "sig1=",
    "(",
    ")",
    ";",
    ",",
    ":",
    "::",
    "?1",
    "?0",
    "@1",
    '%"',
    '\\"',
    "\\\\",
    ";created=",
    ";expires=",
    ';keyid="',
    ';nonce="',
    ';alg="',
    ';tag="',
    ";sf",
    ";bs",
    ";tr",
    ";req",
    ';key="',
    ';name="',
    '"@method"',
    '"@target-uri"',
    '"@authority"',
    '"@scheme"',
    '"@request-target"',
    '"@path"',
    '"@query"',
    '"@query-param"',
    '"@status"',
    '"content-digest"',
    '"content-type"',
    "sha-256=:",
    "sha-512=:",
    "datafold",
    "ed25519",
    "ecdsa-p256-sha256",
    "rsa-pss-sha512",
    ":443",
    ":80",
    "https://",
    "[::1]",
    "%2f",
    "%zz",
    "P-256",
    "P-384",
    "P-521",
    "AQAB",
]


def dictionary() -> str:
    """`PIECES` in libFuzzer's format."""
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in piece.encode()) + '"\n' for piece in PIECES)
