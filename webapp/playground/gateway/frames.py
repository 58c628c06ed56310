"""Today's frames: requests, responses and events as JSON texts."""

import json
from dataclasses import dataclass
from typing import Any

from webapp.playground.gateway.refusals import Refused


@dataclass(frozen=True)
class Request:
    """What a client asks; `id` is echoed as it came."""

    id: Any
    method: str
    params: dict[str, Any]


class NoRequest(Exception):
    """This text is no request. `answerable` when it deserves a response, under `id`."""

    def __init__(self, answerable: bool, id: Any = "invalid") -> None:
        super().__init__("invalid request frame")
        self.answerable = answerable
        self.id = id


class OpenClaw:
    """The frames of gateways since protocol 3."""

    greets = True  # it challenges, and waits for `connect`

    def read(self, text: str) -> Request:
        """A request, or NoRequest."""
        try:
            frame = json.loads(text)
        except (ValueError, RecursionError):
            raise NoRequest(False) from None
        if not isinstance(frame, dict):
            raise NoRequest(True)
        given = frame.get("id")
        id = given if isinstance(given, str) and given else "invalid"
        known = set(frame) <= {"type", "id", "method", "params"}
        named = isinstance(frame.get("method"), str)
        if frame.get("type") != "req" or id == "invalid" or not named or not known:
            raise NoRequest(True, id)
        params = frame.get("params", {})
        return Request(id, frame["method"], params if isinstance(params, dict) else {"": params})

    def response(self, id: Any, payload: Any) -> str:
        """Yes."""
        return text({"type": "res", "id": id, "ok": True, "payload": payload})

    def refusal(self, id: Any, refused: Refused) -> str:
        """No, and why."""
        return text({"type": "res", "id": id, "ok": False, "error": refused.as_error()})

    def event(self, name: str, payload: Any, **beside: Any) -> str | None:
        """What happened; `beside` are seq and stateVersion."""
        return text({"type": "event", "event": name, "payload": payload, **beside})


def text(frame: Any) -> str:
    """One frame as it goes on the wire."""
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
