"""Which rights this hub asks a gateway for: the least that chatting and approving need."""

from urllib.parse import urlsplit

from webapp.gateways.credentials import WANTED

ADMIN = "operator.admin"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def wanted_scopes(url: str) -> tuple[str, ...]:
    """A gateway elsewhere approves our device, and runs then wait for its people. One of this machine knows no device:
    there only an admin's runs wait for a person.
    """
    host = urlsplit(url.strip()).hostname or ""
    return (*WANTED, ADMIN) if host in LOOPBACK else WANTED
