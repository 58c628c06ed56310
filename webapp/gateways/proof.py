"""Whether whoever listens on a port of this machine is a gateway with our token. Nobody is believed by their looks.

A server that answers /health, or one that greets everybody, proves nothing: a gateway with our token refuses a token
that nobody has, and takes ours.
"""

import secrets
from collections.abc import Callable

from models.gateway_states import Problem
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.credentials import Credentials
from webapp.gateways.local import NotYet
from webapp.gateways.refusals import ConnectionLost, Refused

STEP_SECONDS = 5.0
OURS_REFUSED = "it is a gateway with another token"
ANY_TAKEN = "it takes any token, so nothing proves that it is this gateway"


def proof(url: str, token: str | None, dialect: str = "openclaw") -> Callable[[], str | None]:
    """A question to ask as often as one likes: None when it is ours, else why not. Raises NotYet while it starts."""

    def asked() -> str | None:
        if not token:
            return "no token is set here, so nothing can prove that it is this gateway"
        refused = _greeted(url, secrets.token_urlsafe(24), dialect)
        if refused is None:
            return ANY_TAKEN
        if refused.code != Problem.TOKEN_REFUSED:
            return f"it does not speak as a gateway does ({refused.text.rstrip('.')})"
        refused = _greeted(url, token, dialect)
        if refused is None or refused.code in (Problem.SCOPES, Problem.PAIRING):
            return None
        return OURS_REFUSED

    return asked


def _greeted(url: str, token: str, dialect: str) -> Refused | None:
    """What is said to this token: None when it is let in."""
    connection = GatewayConnection(url, Credentials(token=token), dialect, step_seconds=STEP_SECONDS)
    try:
        connection.open()
    except Refused as refused:
        if refused.code == Problem.NOT_READY:
            raise NotYet from refused
        return refused
    except ConnectionLost as lost:
        raise NotYet from lost
    else:
        return None
    finally:
        connection.close("that was all")
