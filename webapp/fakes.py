"""The playground gateway of this machine: how it is started, and how it is told to fail (docs/playground.md)."""

import http.client
import json
import socket
import sys
from typing import Any

from models.errors import WrongState

NAME = "playground"
MODULE = "webapp.playground.gateway"
COMMAND = (sys.executable, "-m", MODULE, "--agent", "pilot")
PATIENCE = 3.0


def is_fake(command: list[str] | None) -> bool:
    """Whether a gateway's command starts ours: nothing else is ever told to crash."""
    return MODULE in (command or [])


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tell(port: int, token: str, **verb: Any) -> None:
    """One verb for it, outside of any transaction. Raises WrongState when it does not do so."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", "/__control", json.dumps(verb), headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        raise WrongState("The playground gateway does not answer. Start it, and wait until it is live.") from None
    finally:
        connection.close()
    if status != 200:
        raise WrongState(f"The playground gateway refused this (status {status}). Stop it, and start it again.")
