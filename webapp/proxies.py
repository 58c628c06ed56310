"""Who is really asking when a proxy stands between: forwarding headers are believed only from trusted addresses."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from webapp.values import Network, address

PORT_BEHIND = re.compile(r"^(\d+\.\d+\.\d+\.\d+):\d+$|^\[([0-9A-Fa-f:.]+)\](?::\d+)?$")


@dataclass(frozen=True)
class Client:
    """The caller's address and the scheme it used; `forwarded` when a trusted proxy said so."""

    address: str
    scheme: str
    forwarded: bool


def client(
    peer: str,
    forwarded_for: str | None,
    forwarded_proto: str | None,
    trusted: Sequence[Network],
    scheme: str = "http",
) -> Client:
    """Who asks, from the socket's peer address and the values of X-Forwarded-For and X-Forwarded-Proto.

    The list is read from its end: each trusted proxy vouches for the entry before its own, and the first address that
    is not trusted is the client. What stands further left was written by that client and proves nothing.
    """
    if not _is_trusted(peer, trusted):
        return Client(_plain(peer), scheme, forwarded=False)
    seen = peer
    for hop in reversed((forwarded_for or "").split(",")):
        if address(_bare(hop)) is None:
            break
        seen = _bare(hop)
        if not _is_trusted(seen, trusted):
            break
    told = (forwarded_proto or "").rpartition(",")[2].strip().lower()
    return Client(_plain(seen), told if told in ("http", "https") else scheme, forwarded=True)


def _is_trusted(text: str, trusted: Sequence[Network]) -> bool:
    found = address(text)
    return found is not None and any(found in network for network in trusted)


def _bare(hop: str) -> str:
    """Some proxies add the port, and brackets for IPv6."""
    match = PORT_BEHIND.match(hop.strip())
    return (match[1] or match[2]) if match else hop.strip()


def _plain(text: str) -> str:
    return str(address(text) or text)
