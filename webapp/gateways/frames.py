"""Today's dialect as pure functions: what is asked, answered and told in gateways of wire protocol 3 and 4.

Where the two differ, `protocol` (from hello, and nothing else) decides. Nothing here raises for what a gateway says: a
value of the wrong type is as good as absent, and what cannot be used at all is None.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from webapp.gateways.approvals import approval, approval_event, followed_approval, read_approvals
from webapp.gateways.chat import chat_event
from webapp.gateways.histories import history, read_history, was_heard
from webapp.gateways.wire import (
    LONGEST_WORDS,
    Challenge,
    Event,
    GatewayError,
    Hello,
    Params,
    Response,
    ToolEvent,
    Unreadable,
    decoded,
    mapping,
    seconds,
    text_or_none,
    texts,
    whole,
)

# Besides what follows: one room for all verbs of the dialect.
__all__ = [
    "approval",
    "approval_event",
    "chat_event",
    "followed_approval",
    "history",
    "read_approvals",
    "read_history",
    "was_heard",
]

OLDEST, NEWEST = 3, 4
SHAKES_HANDS = True  # `connect` comes first, and hello says what may be done
CLIENT_ID, CLIENT_MODE, ROLE, PLATFORM = "gateway-client", "backend", "operator", "linux"
TICK = "tick"
SHUTDOWN = "shutdown"
LONGEST_LIFE = 100 * 365 * 86_400_000  # milliseconds; what is more is no uptime


def request(id: str, method: str, params: Mapping[str, Any]) -> str:
    """The frame that asks; `id` comes back with the answer."""
    return _text({"type": "req", "id": id, "method": method, "params": params})


def connect_request(
    id: str,
    *,
    version: str,
    scopes: Sequence[str],
    caps: Sequence[str] = (),
    auth: Mapping[str, str],
    device: Mapping[str, Any] | None = None,
) -> str:
    """The first frame. `auth` holds token, deviceToken or password; `device` is what `device.DeviceKey.proof` made."""
    params: Params = {
        "minProtocol": OLDEST,
        "maxProtocol": NEWEST,
        "client": {"id": CLIENT_ID, "mode": CLIENT_MODE, "version": version, "platform": PLATFORM},
        "role": ROLE,
        "scopes": list(scopes),
        "caps": list(caps),
        "locale": "en-US",
        "userAgent": f"switchyard/{version}",
    }
    if auth:
        params["auth"] = dict(auth)
    if device is not None:
        params["device"] = dict(device)
    return request(id, "connect", params)


def parse(text: str | bytes) -> Response | Event | Unreadable:
    """One frame from a gateway. Never raises."""
    try:
        raw = text if isinstance(text, bytes) else text.encode()
        frame = decoded(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return Unreadable(type(error).__name__)
    if not isinstance(frame, dict):
        return Unreadable("not an object")
    kind = frame.get("type")
    if kind == "event" and isinstance(frame.get("event"), str):
        return Event(frame["event"], frame.get("payload"), whole(frame.get("seq")))
    if kind == "res" and isinstance(frame.get("id"), str):
        ok = frame.get("ok") is True
        return Response(frame["id"], ok, frame.get("payload"), None if ok else error_of(frame.get("error")))
    return Unreadable("neither an answer nor an event")


def error_of(value: Any) -> GatewayError:
    """The error object of an answer."""
    error = mapping(value)
    details = mapping(error.get("details"))
    after = seconds(error.get("retryAfterMs"))
    return GatewayError(
        text_or_none(error.get("code")) or "UNKNOWN",
        (text_or_none(error.get("message")) or "The gateway gave no reason.")[:LONGEST_WORDS],
        details,
        error.get("retryable") is True,
        seconds(details.get("retryAfterMs")) if after is None else after,
    )


def challenge(event: Event) -> Challenge | None:
    """The gateway's opening, or None when this is another event or an incomplete one."""
    payload = mapping(event.payload)
    nonce, ts = text_or_none(payload.get("nonce")), whole(payload.get("ts"))
    if event.name != "connect.challenge" or nonce is None or ts is None:
        return None
    return Challenge(nonce, ts)


def hello(payload: Any) -> Hello | None:
    """What `connect` was answered with, or None when it is no hello."""
    found = mapping(payload)
    protocol = whole(found.get("protocol"))
    if found.get("type") != "hello-ok" or protocol is None:
        return None
    server, auth, policy = mapping(found.get("server")), mapping(found.get("auth")), mapping(found.get("policy"))
    usual = Hello(protocol)
    tick = whole(policy.get("tickIntervalMs")) or 0
    most = whole(policy.get("maxPayload")) or 0
    up = whole(mapping(found.get("snapshot")).get("uptimeMs"))
    return Hello(
        protocol=protocol,
        version=text_or_none(server.get("version")) or "",
        boot_id=(text_or_none(server.get("bootId")) or "")[:80] or None,
        scopes=tuple(scope[:80] for scope in texts(auth.get("scopes"))[:80]),
        device_token=text_or_none(auth.get("deviceToken")),
        methods=texts(mapping(found.get("features")).get("methods")),
        tick_seconds=tick / 1000 if 0 < tick <= 3_600_000 else usual.tick_seconds,
        max_payload=most if most > 0 else usual.max_payload,
        snapshot_uptime_ms=up if up is not None and 0 <= up <= LONGEST_LIFE else None,
    )


def restart_expected_ms(event: Event) -> int | None:
    """In how many milliseconds a gateway that shuts down wants to be back; None when it does not say."""
    back = whole(mapping(event.payload).get("restartExpectedMs")) if event.name == SHUTDOWN else None
    return max(0, back) if back is not None else None


def chat_send(session_key: str, message: str, idempotency_key: str, protocol: int, *, as_admin: bool = False) -> Params:
    """Parameters of `chat.send`.

    Who holds `operator.admin` (`as_admin`) can keep protocol 4 from reading the text as one of its own commands (`/new`
    and such). Without that scope the gateway refuses the whole message for the attempt.
    """
    params: Params = {"sessionKey": session_key, "message": message, "idempotencyKey": idempotency_key}
    if protocol >= 4 and as_admin:
        params["suppressCommandInterpretation"] = True
    return params


def chat_abort(session_key: str, run_id: str | None = None) -> Params:
    """Parameters of `chat.abort`; without a run everything in the session is stopped."""
    return {"sessionKey": session_key, **({"runId": run_id} if run_id is not None else {})}


def tool_event(event: Event) -> ToolEvent | None:
    """What an `agent` event says of a tool; None for every other event. Only with the cap `tool-events`."""
    payload = mapping(event.payload)
    if event.name != "agent" or payload.get("stream") != "tool":
        return None
    data, run_id, key = mapping(payload.get("data")), payload.get("runId"), payload.get("sessionKey")
    phase, name = text_or_none(data.get("phase")), text_or_none(data.get("name"))
    if not isinstance(run_id, str) or not isinstance(key, str) or phase is None:
        return None
    failed = data.get("isError")
    result = data.get("result", data.get("partialResult"))
    ok = not failed if phase == "result" and isinstance(failed, bool) else None
    return ToolEvent(run_id, key, name or "tool", phase, data.get("args"), result, ok)


def is_known(event: Event) -> bool:
    """Whether an event is worth no line in the log: today's gateways tell of sixty things that do not concern us."""
    return True


def missing_scope(error: GatewayError) -> str | None:
    """The scope a method was refused for, in the words of either generation; None when it was something else."""
    if error.details.get("code") == "MISSING_SCOPE":
        return text_or_none(error.details.get("missingScope"))
    before, _, scope = error.message.partition("missing scope: ")
    return scope.split()[0] if not before and scope else None


def _text(frame: Mapping[str, Any]) -> str:
    return msgspec.json.encode(frame).decode()
