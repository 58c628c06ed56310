"""What a session holds, in today's dialect: asked for, read, and searched for what we said ourselves."""

from datetime import datetime, timedelta
from typing import Any

from webapp.gateways.wire import History, Params, Said, mapping, moment, said_text, text_or_none, whole

OURS = ":user"  # what the gateway writes behind our key


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
        idempotency_key=key.removesuffix(OURS) if key else None,
        id=text_or_none(about.get("id")),
        run_id=text_or_none(about.get("runId")),
        tool=text_or_none(mapping(line.get("provenance")).get("sourceTool")),
    )
