"""Forwarding headers: believed from trusted proxies, and no further than those vouch."""

import ipaddress

import pytest

from webapp.proxies import client

TRUSTED = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, nonsense, 10.0.0.2", "10.0.0.2"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_first_address_that_is_not_trusted_asks(peer, forwarded_for, address):
    assert client(peer, forwarded_for, None, TRUSTED).address == address


def test_only_a_trusted_proxy_tells_the_scheme():
    assert client("203.0.113.9", None, "https", TRUSTED).scheme == "http"
    assert client("10.0.0.1", None, "https", TRUSTED).scheme == "https"
    assert client("10.0.0.1", None, "http, HTTPS", TRUSTED).scheme == "https"
    assert client("10.0.0.1", None, "gopher", TRUSTED).scheme == "http"
    assert client("10.0.0.1", None, None, TRUSTED, scheme="https").scheme == "https"


def test_it_is_told_whether_a_proxy_spoke():
    assert client("10.0.0.1", "1.1.1.1", None, TRUSTED).forwarded
    assert not client("1.1.1.1", "10.0.0.1", None, TRUSTED).forwarded
