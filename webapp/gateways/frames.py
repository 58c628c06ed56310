"""Today's dialect as pure functions: what is asked, answered and told in gateways of wire protocol 3 and 4.

Where the two differ, `protocol` (from hello, and nothing else) decides. Nothing here raises for what a gateway says: a
value of the wrong type is as good as absent, and what cannot be used at all is None.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from webapp.gateways.chat import chat_event
from webapp.gateways.wire import (
    ApprovalEvent,
    Challenge,
    Event,
    GatewayError,
    Hello,
    History,
    Params,
    Response,
    Said,
    ToolEvent,
    Unreadable,
    mapping,
    moment,
    said_text,
    seconds,
    text_or_none,
    texts,
    whole,
    without_nul,
)

__all__ = ["chat_event"]  # besides what follows: one room for all verbs of the dialect

OLDEST, NEWEST = 3, 4
SHAKES_HANDS = True  # `connect` comes first, and hello says what may be done
CLIENT_ID, CLIENT_MODE, ROLE, PLATFORM = "gateway-client", "backend", "operator", "linux"
TICK = "tick"
SHUTDOWN = "shutdown"

_decode = msgspec.json.Decoder().decode
_FOLLOW_UP = "exec-approval-followup:"
_OURS = ":user"


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
        frame = _decode(raw)
        if b"\\u0000" in raw:
            frame = without_nul(frame)
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
        text_or_none(error.get("message")) or "The gateway gave no reason.",
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
    return Hello(
        protocol=protocol,
        version=text_or_none(server.get("version")) or "",
        boot_id=text_or_none(server.get("bootId")),
        scopes=texts(auth.get("scopes")),
        device_token=text_or_none(auth.get("deviceToken")),
        methods=texts(mapping(found.get("features")).get("methods")),
        tick_seconds=tick / 1000 if 0 < tick <= 3_600_000 else usual.tick_seconds,
        max_payload=most if most > 0 else usual.max_payload,
        snapshot_uptime_ms=whole(mapping(found.get("snapshot")).get("uptimeMs")),
    )


def restart_expected_ms(event: Event) -> int | None:
    """In how many milliseconds a gateway that shuts down wants to be back; None when it does not say."""
    return whole(mapping(event.payload).get("restartExpectedMs")) if event.name == SHUTDOWN else None


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


def history(session_key: str, protocol: int, limit: int = 200, offset: int | None = None) -> Params:
    """Parameters of `chat.history`: the newest page; `offset` reaches further back, from protocol 4 on."""
    params: Params = {"sessionKey": session_key, "limit": max(1, min(limit, 1000))}
    if offset is not None and protocol >= 4:
        params["offset"] = offset
    return params


def read_history(payload: Any, protocol: int) -> History:
    """What `chat.history` was answered with. A session that nobody wrote to is empty."""
    found = mapping(payload)
    lines = found.get("messages")
    said = [_said(line) for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []
    messages = [line for line in said if line is not None]
    if protocol < 4:
        return History(messages)
    flight = mapping(found.get("inFlightRun"))
    run_id, text = text_or_none(flight.get("runId")), flight.get("text")
    active = mapping(found.get("sessionInfo")).get("hasActiveRun")
    return History(
        messages,
        (run_id, text if isinstance(text, str) else "") if run_id is not None else None,
        active if isinstance(active, bool) else run_id is not None,
        whole(found.get("nextOffset")) if found.get("hasMore") is True else None,
    )


def was_heard(found: History, idempotency_key: str, message: str, sent_at: datetime, protocol: int) -> bool:
    """Whether a message we sent has reached the session, so that it must not be sent again.

    Before protocol 4 the gateway does not keep our key: the same text, from two minutes before `sent_at` on, is ours.
    """
    asked = [line for line in found.messages if line.role == "user"]
    if protocol >= 4:
        return any(line.idempotency_key == idempotency_key for line in asked)
    since = sent_at - timedelta(minutes=2)
    return any(line.text.strip() == message.strip() and (line.at is None or line.at >= since) for line in asked[-1:])


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


def approval_event(event: Event) -> ApprovalEvent | None:
    """A command of a gateway that waits for a person, or was decided; None for every other event."""
    for kind in ("requested", "resolved"):
        if event.name == f"exec.approval.{kind}":
            return approval(kind, event.payload)
    return None


def approval(kind: str, value: Any) -> ApprovalEvent | None:
    """An approval in an event or in the list of `exec.approval.list`; None without an id."""
    payload = mapping(value)
    asked = mapping(payload.get("request"))
    id = text_or_none(payload.get("id"))
    if id is None:
        return None
    command = asked.get("command")
    return ApprovalEvent(
        kind=kind,
        id=id,
        command=command if isinstance(command, str) else "",
        cwd=text_or_none(asked.get("cwd")),
        host=text_or_none(asked.get("host")),
        agent_id=text_or_none(asked.get("agentId")),
        session_key=text_or_none(asked.get("sessionKey")),
        run_id=text_or_none(asked.get("runId")),
        allowed=texts(asked.get("allowedDecisions")),
        expires_at=moment(payload.get("expiresAtMs")),
        decision=text_or_none(payload.get("decision")),
        resolved_by=text_or_none(payload.get("resolvedBy")),
        raw=payload,
    )


def read_approvals(payload: Any) -> list[ApprovalEvent]:
    """What `exec.approval.list` was answered with: those that still wait."""
    lines = payload if isinstance(payload, list) else mapping(payload).get("approvals", mapping(payload).get("pending"))
    found = [approval("requested", line) for line in lines] if isinstance(lines, list) else []
    return [line for line in found if line is not None]


def followed_approval(run_id: str) -> str | None:
    """The approval whose outcome this run tells (protocol 3: the answer comes as a run of its own), or None."""
    return run_id.removeprefix(_FOLLOW_UP) or None if run_id.startswith(_FOLLOW_UP) else None


def missing_scope(error: GatewayError) -> str | None:
    """The scope a method was refused for, in the words of either generation; None when it was something else."""
    if error.details.get("code") == "MISSING_SCOPE":
        return text_or_none(error.details.get("missingScope"))
    before, _, scope = error.message.partition("missing scope: ")
    return scope.split()[0] if not before and scope else None


def _said(line: dict[str, Any]) -> Said | None:
    about, text = mapping(line.get("__openclaw")), said_text(line)
    role = text_or_none(line.get("role"))
    if role is None or text is None:
        return None
    key = text_or_none(line.get("idempotencyKey")) or text_or_none(about.get("idempotencyKey"))
    return Said(
        role=role,
        text=text,
        at=moment(line.get("timestamp")),
        idempotency_key=key.removesuffix(_OURS) if key else None,
        id=text_or_none(about.get("id")),
        run_id=text_or_none(about.get("runId")),
    )


def _text(frame: Mapping[str, Any]) -> str:
    return msgspec.json.encode(frame).decode()
