"""Gateways of this machine under a real hub, driven over its API: for journeys in which they fall and get up."""

import os
import signal
import socket
import sys
from typing import Any

from tests import left_behind, local_gateway
from tests.conditions import until
from tests.hub import RunningHub, person

PLAYGROUND = ["-m", "webapp.playground.gateway"]


class Operator:
    """Somebody who runs gateways over the REST API."""

    def __init__(self, hub: RunningHub) -> None:
        self.hub, self.ports = hub, list[int]()
        self.email = f"olga-{hub.port}-{os.urandom(3).hex()}@example.org"
        self.id, self.token = person(self.email, "Olga", "operator")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a call that must succeed."""
        status, answer = self.hub.request(method, f"/api/v1{path}", body, self.token)
        assert status < 300, (status, answer)
        return answer

    def add(self, name: str, command: list[str], port: int | None = None, **more: Any) -> int:
        """A managed gateway, not started."""
        port = port or free_port()
        self.ports.append(port)
        given = {"name": name, "managed": True, "port": port, "command": command, **more}
        return self.call("POST", "/gateways", given)["id"]

    def playground(self, name: str, **more: Any) -> int:
        """One that answers, not started."""
        port = free_port()
        return self.add(name, [sys.executable, *PLAYGROUND, "--port", str(port)], port, **more)

    def faulty(self, name: str, *fault: str, **more: Any) -> int:
        """One with a fault (tests/local_gateway.py), not started."""
        return self.add(name, [sys.executable, "-S", local_gateway.__file__, *fault], **more)

    def gateway(self, id: int) -> Any:
        """How it stands."""
        return self.call("GET", f"/gateways/{id}")

    def verb(self, id: int, verb: str) -> Any:
        """start, stop, restart."""
        return self.call("POST", f"/gateways/{id}/{verb}")

    def wait(self, id: int, state: str, seconds: float = 30) -> Any:
        """The gateway, once it is in this state."""
        until(lambda: self.gateway(id)["state"] == state, f"gateway {id} to be {state}: {self.gateway(id)}", seconds)
        return self.gateway(id)

    def wait_again(self, id: int, not_pid: int, seconds: float = 30) -> Any:
        """The gateway, once it runs as another process than this one."""

        def again() -> bool:
            found = self.gateway(id)
            return found["state"] == "running" and found["process"]["pid"] not in (None, not_pid)

        until(again, f"gateway {id} to run again", seconds)
        return self.gateway(id)

    def processes(self) -> set[tuple[int, float]]:
        """All that runs of its gateways, the relays included."""
        return left_behind.processes(self.hub.folder, self.ports)

    def none_left(self) -> None:
        """Until nothing runs of its gateways."""
        left_behind.none_left(self.hub.folder, self.ports)

    def timeline(self, id: int) -> list[str]:
        """What happened to it, oldest first."""
        return [line["event"] for line in self.call("GET", f"/gateways/{id}/timeline?limit=200")["items"]][::-1]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def kill(pid: int) -> None:
    """kill -9."""
    os.kill(pid, signal.SIGKILL)
