"""Where webhooks may go: hostile URLs and addresses, as data."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.webhooks.errors import WebhookUrlRefused
from accounts.webhooks.targets import addresses_to_use, is_allowed, parse_target

HOSTILE_URLS = [
    "",
    "hooks.example.com",
    "//hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://hooks.example.com/",
    "javascript:alert(1)",
    "https:hooks.example.com",
    "https:///hook",
    "https://",
    "http://hooks.example.com/",
    "https://user@hooks.example.com/",
    "https://user:secret@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://127.0.0.1\\@hooks.example.com/",
    "https://hooks.example.com\\.evil.example/",
    "https://hooks.example.com:22/",
    "https://hooks.example.com:80/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:65536/",
    "https://hooks.example.com:99999999999/",
    "https://hooks.example.com:+443/",
    "https://hooks.example.com:٤٤٣/",
    "https://hooks.example.com:/",
    "https://hooks.example.com/#fragment",
    "https://hooks.example.com/a b",
    "https://hooks.example.com/a\r\nX-Evil: 1",
    "https://hooks.example.com/\x00",
    "https://hooks.example.com\t/",
    " https://hooks.example.com/",
    "https://hooks.example.com/é",
    "https://höoks.example.com/",
    "https://hooks%2eexample.com/",
    "https://hooks..example.com/",
    "https://.example.com/",
    "https://hooks.example.com./",
    "https://-hooks.example.com/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://0/",
    "https://127.0.0.1.0/",
    "https://10.1.2.3/",
    "https://192.168.0.1/",
    "https://172.31.255.255/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::808:808]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[fd00:ec2::254]/",
    "https://[fc00::1]/",
    "https://[ff02::1]/",
    "https://[127.0.0.1]/",
    "https://::1/",
    "https://[::1/",
    "https://[]/",
    "https://" + "a" * 64 + ".example.com/",
    "https://" + "a." * 130 + "com/",
    "https://hooks.example.com/" + "a" * 2000,
]

CLOSED = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254"),
    *(
        "169.254.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
    ),
    *(
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
    ),
    *("239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *(
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
    ),
    *(
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:20::1",
        "2001:db8::1",
        "2002:808:808::1",
        "3fff::1",
    ),
    *(
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "2606:4700::1%1",
    ),
]
OPEN = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.215.14",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
]
OPEN += ["2606:4700:4700::1111", "2a00:1450:4001:82a::200e", "2620:fe::fe"]


def parse(url: str, **changes: Any) -> Any:
    return parse_target(url, **{"schemes": {"https"}, "ports": {443, 8443}, **changes})


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_a_hostile_url_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(WebhookUrlRefused) as refused:
        parse(url)
    assert refused.value.code == "WEBHOOK_URL_REFUSED"
    assert len(refused.value.message) > 15


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://hooks.example.com", "https://hooks.example.com/"),
        ("HTTPS://Hooks.Example.COM:443/A?B=c%20d", "https://hooks.example.com/A?B=c%20d"),
        ("https://hooks.example.com?x=1", "https://hooks.example.com/?x=1"),
        ("https://xn--hoks-5qa.example.com:8443/", "https://xn--hoks-5qa.example.com:8443/"),
        ("https://8.8.8.8/hook", "https://8.8.8.8/hook"),
        ("https://[2606:4700:4700:0:0:0:0:1111]/", "https://[2606:4700:4700::1111]/"),
    ],
)
def test_a_good_url_gets_its_normal_form(url: str, normal: str) -> None:
    assert parse(url).url == normal
    assert parse(normal).url == normal


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://hooks.example.com/{text}"):
        try:
            target = parse(url)
        except WebhookUrlRefused:
            continue
        assert target.url.isascii()
        assert not set("\r\n @\\#") & set(target.authority)


@pytest.mark.parametrize("address", CLOSED)
def test_an_address_that_is_not_public_is_closed(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", OPEN)
def test_a_public_address_is_open(address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address))


@given(st.ip_addresses())
def test_nothing_that_python_calls_special_is_open(address: Any) -> None:
    if is_allowed(address):
        assert address.is_global
        kinds = ("private", "loopback", "link_local", "multicast", "reserved", "unspecified")
        assert not [kind for kind in kinds if getattr(address, f"is_{kind}")]


def test_one_bad_address_spoils_the_rest() -> None:
    assert addresses_to_use(["8.8.8.8", "10.0.0.1"]) == []
    assert addresses_to_use(["8.8.8.8", "nonsense"]) == []
    assert addresses_to_use([]) == []
    assert [str(each) for each in addresses_to_use(["8.8.8.8", "2606:4700::1"])] == [
        "8.8.8.8",
        "2606:4700::1",
    ]


def test_an_exception_opens_its_network_and_no_other() -> None:
    lan = [ipaddress.ip_network("10.1.0.0/16")]
    assert is_allowed(ipaddress.ip_address("10.1.2.3"), lan)
    assert not is_allowed(ipaddress.ip_address("10.2.0.1"), lan)
    assert not is_allowed(ipaddress.ip_address("::ffff:10.1.2.3"), lan)
    assert parse("https://10.1.2.3/", exceptions=lan).host == "10.1.2.3"


def test_a_query_is_not_shown() -> None:
    assert parse("https://hooks.example.com/a?token=s3cret").shown_url == "https://hooks.example.com/a?…"
