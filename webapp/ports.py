"""Who listens on a port of this machine."""

import contextlib
import os
from dataclasses import dataclass
from typing import Any

import psutil

# Who listens on one of these is who answers at 127.0.0.1.
HERE = ("127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1")  # noqa: S104 (compared with)


@dataclass(frozen=True)
class Holder:
    """Who listens: pid, start and name where the system tells; `mine`: it runs under the hub's own user."""

    pid: int | None
    name: str | None
    started: float | None = None
    mine: bool = False

    def __str__(self) -> str:
        """For a sentence: "node (pid 4121)"."""
        if self.pid is None:
            return "a process of another user"
        return f"{self.name or 'a process'} (pid {self.pid})"

    def facts(self) -> dict[str, Any]:
        """As it is stored with the gateway and shown: {"pid", "name"}."""
        return {"pid": self.pid, "name": self.name}


def holder(port: int) -> Holder | None:
    """Who listens on this port, None when nobody does. Reads the whole table of sockets: not for an event loop."""
    unnamed = None
    for found in psutil.net_connections("tcp"):
        if found.status != psutil.CONN_LISTEN or not found.laddr:
            continue
        if found.laddr.port != port or found.laddr.ip not in HERE:
            continue
        if found.pid is not None:
            return _named(found.pid)
        unnamed = Holder(None, None)
    return unnamed


def _named(pid: int) -> Holder:
    name, started, mine = None, None, False
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        name, started, mine = process.name(), process.create_time(), process.uids().real == os.getuid()
    return Holder(pid, name, started, mine)
