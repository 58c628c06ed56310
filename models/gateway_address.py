"""Where a gateway may be: its URL in one form, so that equal addresses look equal, and the rules that need no network.

What a name resolves to is checked again when a socket is opened (webapp/gateways/addresses.py).
"""

import ipaddress
import re
from collections.abc import Container
from urllib.parse import urlsplit

from models.errors import UrlRefused

DEFAULT_PORTS = {"ws": 80, "wss": 443}
EXAMPLE = "ws://127.0.0.1:18789 or wss://gateway.example.org"
LONGEST = 500

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Machines that hand out credentials to whoever asks from inside. Never a gateway, whatever the settings say.
METADATA = frozenset(
    map(
        ipaddress.ip_address,
        ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    )
)
LOOPBACK = ipaddress.IPv6Address("::1")  # lies in a reserved range, as it happens
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def normalise(url: str) -> str:
    """The URL with scheme and host in lower case, the scheme's own port and a bare slash left out.

    Raises UrlRefused for what is blank, is no ws or wss URL, or carries a user, a query or a fragment.
    """
    text = url.strip()
    if not text:
        raise _refused(f"The gateway has no URL. Enter one such as {EXAMPLE}.")
    if len(text) > LONGEST or any(sign.isspace() or not sign.isprintable() for sign in text):
        raise _refused(f"The URL is too long or has blanks in it. Enter one such as {EXAMPLE}.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _refused(f"The URL cannot be read. Enter one such as {EXAMPLE}.") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise _refused(f"The URL must begin with ws:// or wss://. Enter one such as {EXAMPLE}.")
    if "@" in parts.netloc:
        raise _refused("Leave the user and password out of the URL: the gateway's token has a field of its own.")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise _refused("Leave out what follows ? or # in the URL: a gateway's address has neither.")
    if port == 0:
        raise _refused("Port 0 cannot be connected to. Enter the port the gateway listens on.")
    host = _host(parts.hostname or "")
    shown = f"[{host}]" if ":" in host else host
    number = "" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{shown}{number}{'' if parts.path == '/' else parts.path}"


def check(url: str, hosts: Container[str]) -> str:
    """The normalised URL, if it may be stored: `hosts` holds what SWITCHYARD_GATEWAY_HOSTS lists.

    wss may go anywhere public; ws, and anything private, only to this machine or a listed host. Raises UrlRefused.
    """
    exact = normalise(url)
    parts = urlsplit(exact)
    host = parts.hostname or ""
    literal = literal_address(host)
    if literal is not None:
        check_address(literal, host, hosts)
    if parts.scheme == "ws" and not is_own_machine(host) and host not in hosts:
        raise _refused(f"Use wss:// for {host}, or list it in SWITCHYARD_GATEWAY_HOSTS to allow plain ws://.")
    return exact


def check_address(address: Address, host: str, hosts: Container[str]) -> None:
    """Whether a gateway may be at this address, which `host` stands for. Raises UrlRefused.

    A private address must be listed, by name or by network; this machine's must be written as such. Addresses that hold
    another one (mapped, NAT64, 6to4) are judged by what they hold.
    """
    real = unwrapped(address)
    nowhere = real.is_link_local or real.is_multicast or real.is_unspecified or (real.is_reserved and real != LOOPBACK)
    if nowhere or real in METADATA:
        raise _refused(f"{_shown(host, real)} is no address a gateway can have. Check the host in the URL.")
    is_public = real.is_global and not (isinstance(real, ipaddress.IPv6Address) and real.is_site_local)
    if is_public or host in hosts or str(real) in hosts:
        return
    if real.is_loopback and is_own_machine(host):
        return
    raise _refused(
        f"{_shown(host, real)} is a private address. If the gateway is there, list it in SWITCHYARD_GATEWAY_HOSTS."
    )


def is_own_machine(host: str) -> bool:
    """Whether the host is written as this machine: localhost or a loopback address.

    One that a translator elsewhere would make of a loopback address (NAT64, 6to4) leads to that translator.
    """
    literal = literal_address(host)
    if isinstance(literal, ipaddress.IPv6Address):
        return (literal.ipv4_mapped or literal).is_loopback
    return literal.is_loopback if literal is not None else host == "localhost"


def literal_address(host: str) -> Address | None:
    """The address a host is written as, or None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that holds it, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _host(text: str) -> str:
    name = text.rstrip(".").lower()
    literal = literal_address(name)
    if literal is not None and "%" not in name:
        return literal.compressed
    try:
        name = name.encode("idna").decode() if not name.isascii() else name
    except UnicodeError:
        name = ""
    labels = name.split(".")
    if len(name) > 253 or labels[-1].isdigit() or not all(LABEL.fullmatch(label) for label in labels):
        raise _refused(f"The host in the URL is neither a name nor an address. Enter one such as {EXAMPLE}.")
    return name


def _shown(host: str, address: Address) -> str:
    return host if literal_address(host) is not None else f"{host} leads to {address}, which"


def _refused(sentence: str) -> UrlRefused:
    return UrlRefused(url=sentence)
