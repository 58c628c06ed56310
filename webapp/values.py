"""What a setting may look like: each function turns text into one value, or raises ValueError with the fix."""

import functools
import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")

YEAR = 366 * 24 * 3600  # no timer is longer; a slip of the finger should not overflow a database interval
MIN_KEY_CHARACTERS = 16
MOST_WORKERS = 64
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Hosts:
    """Hosts by name and by network."""

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def __contains__(self, given: object) -> bool:
        """Whether a host name or a literal address (without brackets) is among them."""
        name = str(given)
        found = address(name)
        if found is None:
            return name.lower().rstrip(".") in self.names
        return any(found in network for network in self.networks)

    def __str__(self) -> str:
        return ", ".join([*sorted(self.names), *map(str, self.networks)])


def port(text: str) -> int:
    """0 to 65535; 0 lets the system choose."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65_535:
        raise ValueError("use a whole number from 0 to 65535")
    return int(text)


def workers(text: str) -> int:
    """The number of web processes: 1 to MOST_WORKERS."""
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MOST_WORKERS:
        raise ValueError(f"use a whole number from 1 to {MOST_WORKERS}; one for each processor is enough")
    return int(text)


def seconds(text: str) -> float:
    """More than 0, at most a year; fractions are fine."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise ValueError("use a plain number of seconds, such as 30 or 0.5")
    value = float(text)
    if not 0 < value <= YEAR or math.isinf(value):
        raise ValueError(f"use more than 0 and at most {YEAR} seconds")
    return value


def one_of(*words: str) -> Callable[[str], str]:
    """A reader that takes exactly one of these words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"use {' or '.join(words)}")
        return text

    return read


def list_of(read: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """A reader of several values, separated by commas."""

    def read_all(text: str) -> tuple[T, ...]:
        return tuple(read(part.strip()) for part in text.split(",") if part.strip())

    return read_all


def host(text: str) -> str:
    """An address (IPv6 with or without brackets) or a host name, in lower case."""
    name = text.strip("[]").lower().rstrip(".")
    if address(name) is not None:
        return name
    labels = name.split(".")
    if labels[-1].isdigit() or not all(LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{text} is neither an address nor a host name; use one such as 127.0.0.1 or hub.example.org")
    return name


def network(text: str) -> Network:
    """One address or one network in CIDR form."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text} is no address or network; use one such as 10.0.0.7 or 10.0.0.0/8") from error


def hosts(text: str) -> Hosts:
    """Host names, addresses and networks, separated by commas."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    literal = [part for part in parts if "/" in part or address(part.strip("[]")) is not None]
    names = frozenset(host(part) for part in parts if part not in literal)
    return Hosts(names, tuple(network(part.strip("[]")) for part in literal))


def origin(text: str) -> str:
    """`scheme://host[:port]` and nothing behind it, in the form browsers send."""
    exact = base_url(text)
    if text.endswith("/"):
        raise ValueError("leave out the slash at the end; an origin is scheme://host or scheme://host:port")
    return exact


def base_url(text: str) -> str:
    """An http or https address without path, query or user; the scheme's own port is left out."""
    found = origin_of(text)
    if found is None:
        raise ValueError("use an address such as https://hub.example.org")
    parts = urlsplit(text)
    if parts.path not in ("", "/") or parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError(f"leave out what follows the host: {found}")
    host(parts.hostname or "")
    return found


def database_url(text: str) -> str:
    """A Postgres address, under the scheme of the driver we use. Its text may hold a password: never quote it."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise ValueError("use postgresql://user:password@host:5432/name")
    url = f"postgresql+psycopg://{rest}"
    try:
        make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("this address cannot be read; use postgresql://user:password@host:5432/name") from None
    return url


def secret_keys(text: str) -> tuple[str, ...]:
    """One key or several, separated by commas or line ends, newest first. Never quote them."""
    keys = tuple(part.strip() for part in re.split(r"[,\n]", text) if part.strip())
    if not keys or any(len(key) < MIN_KEY_CHARACTERS for key in keys):
        raise ValueError(f"each key needs at least {MIN_KEY_CHARACTERS} characters, and none may hold a comma")
    return keys


@functools.lru_cache(maxsize=1024)  # asked several times for each request, mostly of the same few
def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The literal address in the text, or None. An IPv4 address wrapped in IPv6 is unwrapped."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def host_of(header: str) -> str | None:
    """The host in a `Host` header, lower case, without port and brackets; None if it is no host."""
    match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", header.lower())
    return match[1].strip("[]").rstrip(".") if match else None


def origin_of(url: str) -> str | None:
    """`scheme://host[:port]` of an http or https URL, lower case, without the scheme's own port; None if it is none."""
    try:
        parts = urlsplit(url)
        number = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return write_origin(parts.scheme, parts.hostname, number)


def write_origin(scheme: str, name: str, number: int | None) -> str:
    """The parts of an origin, as a browser writes them."""
    shown = f"[{name}]" if ":" in name else name
    own = number is None or number == DEFAULT_PORTS[scheme]
    return f"{scheme}://{shown}" if own else f"{scheme}://{shown}:{number}"
