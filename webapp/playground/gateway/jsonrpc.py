"""The JSON-RPC 2.0 dialect of early gateways: the same verbs, in other frames, on a socket that is open at once."""

import json
from typing import Any

from webapp.playground.gateway.frames import NoRequest, Request, text
from webapp.playground.gateway.refusals import Refused

NUMBERS = {
    "INVALID_REQUEST": -32600,
    "METHOD_NOT_FOUND": -32601,
    "INVALID_PARAMS": -32602,
    "UNAVAILABLE": -32001,
    "NOT_PAIRED": -32002,
    "FORBIDDEN": -32003,
}
INTERNAL = -32603
# What had a name of its own then. Anything else is a notification under its name of today.
NAMES = {"chat": "chat.message_received", "health": "channel.status_changed"}
UNKNOWN_THEN = {"agent", "session.message"}


class JsonRpc:
    """`result` is our payload, a notification our event, a number our error code."""

    greets = False

    def read(self, given: str) -> Request:
        """A request, or NoRequest; a call without an id is a notification and gets no answer, so it is none either."""
        try:
            frame = json.loads(given)
        except (ValueError, RecursionError):
            raise NoRequest(True, None) from None
        if not isinstance(frame, dict) or frame.get("jsonrpc") != "2.0" or not isinstance(frame.get("method"), str):
            raise NoRequest(True, frame.get("id") if isinstance(frame, dict) else None)
        if not isinstance(frame.get("id"), str | int):
            raise NoRequest(False)
        params = frame.get("params", {})
        return Request(frame["id"], frame["method"], params if isinstance(params, dict) else {"": params})

    def response(self, id: Any, payload: Any) -> str:
        """A result."""
        return text({"jsonrpc": "2.0", "id": id, "result": payload})

    def refusal(self, id: Any, refused: Refused) -> str:
        """An error with a number; what we would say today is in its data."""
        number = NUMBERS.get(refused.code, INTERNAL)
        if refused.message.startswith("unknown method"):
            number = NUMBERS["METHOD_NOT_FOUND"]
        elif refused.message.startswith("invalid ") and " params" in refused.message:
            number = NUMBERS["INVALID_PARAMS"]
        error = {"code": number, "message": refused.message, "data": refused.as_error()}
        return text({"jsonrpc": "2.0", "id": id, "error": error})

    def event(self, name: str, payload: Any, **beside: Any) -> str | None:
        """A notification; None for what nobody knew then."""
        if name in UNKNOWN_THEN:
            return None
        params = payload
        if name == "chat":
            params = {"message": payload}
        elif name == "health":
            params = {"channelId": "gateway", "status": "connected"}
        if name == "chat" and payload.get("state") == "error":
            params = {"message": payload.get("errorMessage"), "runId": payload["runId"]}
            params["sessionKey"] = payload["sessionKey"]
            return text({"jsonrpc": "2.0", "method": "error", "params": params})
        return text({"jsonrpc": "2.0", "method": NAMES.get(name, name), "params": params})
