"""From a gateway's URL to an opened socket: every address its name resolves to is checked, and a checked one is used.

gevent's own sockets are named, so that it waits well in a process that gevent has patched and in one that it has not.
No proxy from the environment is asked: the address that was checked is the one that is connected to.
"""

import ssl
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent import socket
from gevent import ssl as green_ssl

from models import gateway_address

# Gives the addresses of (host, port), as text.
Resolver = Callable[[str, int], Sequence[str]]


class CannotReach(Exception):
    """No socket to the gateway; the sentence says what stood in the way and what to look at."""


class Untrusted(CannotReach):
    """The gateway's certificate was refused."""


def open_socket(
    url: str,
    hosts: Container[str],
    timeout: float,
    *,
    resolve: Resolver | None = None,
    context: ssl.SSLContext | None = None,
) -> tuple[Any, str]:
    """A connected socket, with TLS for wss, and the Host header that belongs to it.

    Raises UrlRefused when the URL or any address of its host is not allowed, CannotReach when nobody answers in
    `timeout` seconds (all steps together), Untrusted when the certificate does not fit the name. `hosts` holds what
    SWITCHYARD_GATEWAY_HOSTS lists; `context` replaces the system's trusted certificates.
    """
    parts = urlsplit(gateway_address.check(url, hosts))
    host = parts.hostname or ""
    port = parts.port or gateway_address.DEFAULT_PORTS[parts.scheme]
    limit = gevent.Timeout(timeout)
    try:
        with limit:
            sock = _connected(_checked(host, port, hosts, resolve or lookup), host, port)
            return (_wrapped(sock, host, context) if parts.scheme == "wss" else sock), parts.netloc
    except gevent.Timeout as reached:
        if reached is not limit:
            raise
        raise CannotReach(f"{host} did not answer within {timeout:g} seconds.") from None


def lookup(host: str, port: int) -> list[str]:
    """What the system's resolver knows, without doubles."""
    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def trusted_certificates() -> ssl.SSLContext:
    """What `ssl.create_default_context()` makes, of gevent's kind: certificate and name are checked."""
    context = green_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def _checked(host: str, port: int, hosts: Container[str], resolve: Resolver) -> list[str]:
    try:
        found = list(resolve(host, port))
    except (OSError, UnicodeError):
        raise CannotReach(f"The name {host} could not be resolved.") from None
    for text in found:
        address = gateway_address.literal_address(text)
        if address is None:
            raise CannotReach(f"The name {host} could not be resolved.")
        gateway_address.check_address(address, host, hosts)
    if not found:
        raise CannotReach(f"The name {host} has no address.")
    return found


def _connected(addresses: Sequence[str], host: str, port: int) -> Any:
    """A socket to the first address that answers."""
    failure: OSError | None = None
    for address in addresses:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect((address, port))
            return sock
        except OSError as error:
            failure = error
            sock.close()
        except BaseException:
            sock.close()
            raise
    refused = isinstance(failure, ConnectionRefusedError)
    why = "Nobody listens" if refused else f"The connection failed ({failure.strerror if failure else 'no reason'})"
    raise CannotReach(f"{why} at {host}, port {port}.")


def _wrapped(sock: Any, host: str, context: ssl.SSLContext | None) -> Any:
    try:
        return (context or trusted_certificates()).wrap_socket(sock, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        _close(sock)
        raise Untrusted(f"The certificate of {host} was refused: {error.verify_message}.") from None
    except (OSError, ValueError) as error:
        _close(sock)
        raise CannotReach(f"{host} does not speak TLS ({type(error).__name__}). Is it ws:// there?") from None
    except BaseException:
        _close(sock)
        raise


def _close(sock: Any) -> None:
    with suppress(OSError):
        sock.close()
