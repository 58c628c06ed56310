"""A bare client of our cable: what goes over the wire, frame by frame."""

import json
import time
from types import TracebackType
from typing import Any

import websocket

PROTOCOLS = ["actioncable-v1-json", "actioncable-unsupported"]


class Cable:
    """One socket. `with Cable(port, token) as cable:`"""

    def __init__(self, port: int, token: str | None, protocols: list[str] | None = None, **options: Any) -> None:
        query = f"?token={token}" if token else ""
        options.setdefault("origin", f"http://127.0.0.1:{port}")
        self.socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}/cable{query}",
            timeout=10,
            subprotocols=PROTOCOLS if protocols is None else protocols,
            **options,
        )

    def __enter__(self) -> "Cable":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, **command: Any) -> None:
        """One command."""
        self.socket.send(json.dumps(command))

    def frame(self, seconds: float = 10) -> dict[str, Any]:
        """The next frame that is no ping. Raises WebSocketTimeoutException when none comes."""
        deadline = time.monotonic() + seconds
        while True:
            self.socket.settimeout(max(0.05, deadline - time.monotonic()))
            found = json.loads(self.socket.recv() or "{}")
            if found.get("type") != "ping":
                return found
            if time.monotonic() > deadline:
                raise websocket.WebSocketTimeoutException("only pings came")

    def heard(self) -> dict[str, Any]:
        """The next frame that is neither a ping nor says who thinks, which comes every few seconds."""
        while True:
            found = self.frame()
            if "agent_status" not in (found.get("message") or {}):
                return found

    def subscribe(self, identifier: str | None = None, **params: Any) -> str:
        """Asks to subscribe; what the answer is: confirm_subscription or reject_subscription."""
        identifier = identifier or json.dumps(params)
        self.send(command="subscribe", identifier=identifier)
        while True:
            found = self.frame()
            if found.get("identifier") == identifier and "type" in found:
                return found["type"]


def channel(**params: Any) -> dict[str, Any]:
    """The parameters of an agent channel."""
    return {"channel": "Collavre::AgentChannel", **params}
