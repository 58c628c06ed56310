"""The older dialect with the verbs of `frames`: JSON-RPC 2.0, as early gateways and desktop managers speak it.

There is no handshake: such a gateway is ready as soon as the socket is open, and the token goes in the upgrade's
Authorization header. Notifications are translated into today's events.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from webapp.gateways import chat, frames
from webapp.gateways.frames import (
    approval_event,
    chat_abort,
    followed_approval,
    history,
    missing_scope,
    read_approvals,
    read_history,
    restart_expected_ms,
    tool_event,
    was_heard,
)
from webapp.gateways.wire import (
    LONGEST_WORDS,
    Challenge,
    ChatEvent,
    Event,
    GatewayError,
    Hello,
    Params,
    Response,
    Unreadable,
    decoded,
    mapping,
    said_text,
    seconds,
    text_or_none,
    whole,
)

__all__ = [
    "approval_event",
    "chat_abort",
    "followed_approval",
    "history",
    "missing_scope",
    "read_approvals",
    "read_history",
    "restart_expected_ms",
    "tool_event",
    "was_heard",
]

PROTOCOL = 2  # the generation before 3: nothing optional is sent
SHAKES_HANDS = False
CLIENT_ID, CLIENT_MODE, ROLE, PLATFORM = frames.CLIENT_ID, frames.CLIENT_MODE, frames.ROLE, frames.PLATFORM
TICK, SHUTDOWN = frames.TICK, frames.SHUTDOWN

# Names differ between managers in their dots and underscores only.
MESSAGE = frozenset({"chatmessagereceived", "messagereceived", "channelmessagereceived"})
CHANNEL = frozenset({"channelstatuschanged", "channelsstatuschanged"})
CODES = {
    -32700: "INVALID_REQUEST",
    -32600: "INVALID_REQUEST",
    -32601: "UNKNOWN_METHOD",
    -32602: "INVALID_REQUEST",
    -32603: "UNAVAILABLE",
}


def request(id: str, method: str, params: Mapping[str, Any]) -> str:
    """The frame that asks; `id` comes back with the answer."""
    return msgspec.json.encode({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).decode()


def connect_request(
    id: str,
    *,
    version: str,
    scopes: Sequence[str],
    caps: Sequence[str] = (),
    auth: Mapping[str, str],
    device: Mapping[str, Any] | None = None,
) -> str:
    """Never sent, as nobody asks for it: the older gateways have no such method."""
    return request(id, "connect", {"client": {"id": CLIENT_ID, "version": version}})


def parse(text: str | bytes) -> Response | Event | Unreadable:
    """One frame from a gateway. Never raises."""
    try:
        raw = text if isinstance(text, bytes) else text.encode()
        frame = decoded(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as broken:
        return Unreadable(type(broken).__name__)
    if not isinstance(frame, dict):
        return Unreadable("not an object")
    method, id = frame.get("method"), frame.get("id")
    if isinstance(method, str) and id is None:
        return Event(method, frame.get("params"))
    if method is None and isinstance(id, str | int) and not isinstance(id, bool):
        refused = frame.get("error")
        error = error_of(refused) if refused is not None else None
        return Response(str(id), error is None, frame.get("result"), error)
    return Unreadable("neither an answer nor a notification")


def error_of(value: Any) -> GatewayError:
    """The error object of an answer; its number becomes one of today's words."""
    error = mapping(value)
    data, number = mapping(error.get("data")), whole(error.get("code"))
    known = CODES.get(number, str(number)) if number is not None else "UNKNOWN"
    return GatewayError(
        text_or_none(data.get("code")) or known,
        (text_or_none(error.get("message")) or "The gateway gave no reason.")[:LONGEST_WORDS],
        mapping(data.get("details")) or data,
        data.get("retryable") is True,
        seconds(data.get("retryAfterMs")),
    )


def challenge(event: Event) -> Challenge | None:
    """Never comes in this dialect."""
    return None


def hello(payload: Any) -> Hello:
    """What is known of a gateway that says nothing of itself: its socket is open, and no scope is refused."""
    return Hello(PROTOCOL, text_or_none(mapping(payload).get("version")) or "")


def chat_send(
    session_key: str, message: str, idempotency_key: str, protocol: int = PROTOCOL, *, as_admin: bool = False
) -> Params:
    """Parameters of `chat.send`."""
    return frames.chat_send(session_key, message, idempotency_key, PROTOCOL)


def chat_event(event: Event) -> ChatEvent | None:
    """A step of a run: today's `chat`, a received message, or an error that names its run. None for all others."""
    name = _plain(event.name)
    if event.name == "chat":
        return chat.chat_event(event)
    if name in MESSAGE:
        return _step(event, "final")
    if name == "error":
        return _step(event, "error")
    return None


def is_known(event: Event) -> bool:
    """Whether a notification means something to us; others are logged and ignored."""
    name = _plain(event.name)
    return name in MESSAGE | CHANNEL or name in {"error", "chat", "agent", "tick", "shutdown"} or "approval" in name


def _step(event: Event, usual: str) -> ChatEvent | None:
    """The notification as today's `chat` event, where a manager may have put its words one level higher or deeper."""
    params = mapping(event.payload)
    message = params.get("message")
    inner = mapping(message)
    if "state" in inner:  # a whole step of today's in place of the message
        return chat.chat_event(Event("chat", inner, event.seq))
    state = params.get("state", usual)
    text = message if isinstance(message, str) else said_text(message)
    if text is None:
        text = text_or_none(params.get("text")) or said_text(params)
    payload = {
        "runId": params.get("runId", inner.get("runId")),
        "sessionKey": params.get("sessionKey", inner.get("sessionKey")),
        "agentId": params.get("agentId"),
        "state": state,
        "deltaText": params.get("deltaText"),
        "stopReason": params.get("stopReason"),
    }
    if state == "error":
        payload["errorMessage"] = text_or_none(params.get("errorMessage")) or text
    elif text is not None:
        payload["message"] = {"role": "assistant", "content": text, "model": inner.get("model")}
    return chat.chat_event(Event("chat", payload, event.seq))


def _plain(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())
