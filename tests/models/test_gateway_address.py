"""Where a gateway may be: one form for equal addresses, and the rules that need no network."""

import ipaddress

import pytest

from models.errors import UrlRefused
from models.gateway_address import check, check_address, normalise
from webapp.values import Hosts, hosts

NOWHERE = Hosts()


@pytest.mark.parametrize(
    ("url", "exact"),
    [
        ("ws://127.0.0.1:18789", "ws://127.0.0.1:18789"),
        (" WS://LocalHost:18789/ ", "ws://localhost:18789"),
        ("wss://Gateway.Example.org:443/", "wss://gateway.example.org"),
        ("ws://[::1]:80", "ws://[::1]"),
        ("wss://[2001:DB8:0::1]:8443/ws", "wss://[2001:db8::1]:8443/ws"),
        ("wss://gateway.example.org./ws", "wss://gateway.example.org/ws"),
        ("wss://tür.example", "wss://xn--tr-xka.example"),
    ],
)
def test_equal_addresses_look_equal(url: str, exact: str) -> None:
    assert normalise(url) == exact
    assert normalise(exact) == exact


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "has no URL"),
        ("   ", "has no URL"),
        ("127.0.0.1:18789", "ws://"),
        ("https://gateway.example.org", "ws:// or wss://"),
        ("ws://", "host"),
        ("ws://:18789", "host"),
        ("ws://host:99999", "cannot be read"),
        ("ws://host:0", "Port 0"),
        ("ws://[::1", "cannot be read"),
        ("wss://user:secret@gateway.example.org", "Leave the user and password out"),
        ("wss://gateway.example.org?token=secret", "?"),
        ("wss://gateway.example.org/#x", "#"),
        ("wss://gateway.example.org?", "?"),
        ("ws://2130706433", "neither a name nor an address"),
        ("ws://0x7f.1", "neither a name nor an address"),
        ("ws://a b", "blanks"),
        ("ws://a\r\nHost: b", "blanks"),
        ("ws://[fe80::1%25eth0]", "neither a name nor an address"),
        ("ws://-x.example", "neither a name nor an address"),
        ("wss://" + "a" * 600, "too long"),
    ],
)
def test_what_is_no_gateway_url_is_refused_with_a_sentence(url: str, said: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        normalise(url)
    assert said in str(refused.value)
    assert refused.value.code == "url_refused"
    assert "url" in refused.value.fields
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:1", "ws://127.8.8.8", "ws://localhost", "ws://[::1]:5", "wss://a.example", "wss://8.8.8.8"]
)
def test_this_machine_and_public_wss_need_no_setting(url: str) -> None:
    assert check(url, NOWHERE) == url


@pytest.mark.parametrize(
    "url", ["ws://a.example", "ws://8.8.8.8", "ws://10.0.0.7", "wss://10.0.0.7", "wss://[fd00::1]", "wss://[fec0::1]"]
)
def test_plain_ws_and_private_addresses_must_be_listed(url: str) -> None:
    with pytest.raises(UrlRefused, match="SWITCHYARD_GATEWAY_HOSTS"):
        check(url, NOWHERE)
    assert check(url, hosts("a.example, 8.8.8.8, 10.0.0.0/8, fd00::/8, fec0::/10")) == url


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.1.1",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "[::]",
        "224.0.0.1",
        "[ff02::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[::127.0.0.1]",
        "255.255.255.255",
        "168.63.129.16",
    ],
)
def test_some_addresses_are_never_a_gateway_even_when_listed(host: str) -> None:
    everything = hosts(f"{host.strip('[]')}, 0.0.0.0/0, ::/0")
    with pytest.raises(UrlRefused, match="no address a gateway can have"):
        check(f"wss://{host}", everything)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "10.1.2.3", "100.64.0.1"]
)
def test_a_name_may_lead_to_a_private_address_only_when_listed(address: str) -> None:
    found = ipaddress.ip_address(address)
    with pytest.raises(UrlRefused, match=r"gw\.example leads to"):
        check_address(found, "gw.example", NOWHERE)
    check_address(found, "gw.example", hosts("gw.example"))


def test_localhost_may_lead_to_this_machine_and_nowhere_else() -> None:
    check_address(ipaddress.ip_address("::1"), "localhost", NOWHERE)
    with pytest.raises(UrlRefused):
        check_address(ipaddress.ip_address("10.0.0.1"), "localhost", NOWHERE)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("host", ["[64:ff9b::7f00:1]", "[2002:7f00:1::]"])
def test_what_a_translator_elsewhere_calls_its_loopback_is_not_this_machine(scheme: str, host: str) -> None:
    with pytest.raises(UrlRefused, match="SWITCHYARD_GATEWAY_HOSTS"):
        check(f"{scheme}://{host}:18789", NOWHERE)
    assert check("ws://[::ffff:127.0.0.1]:18789", NOWHERE) == "ws://[::ffff:7f00:1]:18789"
