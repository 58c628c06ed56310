"""What `chat.history` answers: a page of a transcript, what waits, and what is being said right now."""

from typing import Any

from webapp.playground.gateway.house import House
from webapp.playground.gateway.sessions import Session, milliseconds
from webapp.playground.gateway.turns import Turns


def history(turns: Turns, house: House, key: str, limit: int, offset: int) -> dict[str, Any]:
    """The payload of `chat.history` in protocol 4."""
    session = house.sessions.get(key) or Session(key, house.default_agent)
    page, run = session.page(limit, offset), turns.active.get(key)
    seen = offset + len(page)
    items = [
        {"runId": each.entry.run_id, "text": each.entry.message, "idempotencyKey": each.entry.idempotency_key}
        for each in turns.waiting.get(key, [])
    ]
    payload: dict[str, Any] = {
        "sessionKey": key,
        "sessionId": session.session_id,
        "messages": page,
        "pendingInputs": {"items": items, "total": len(items)},
        "deltaCursor": f"{session.session_id}:{len(session.lines)}",
        "hasMore": seen < len(session.lines),
        "totalMessages": len(session.lines),
        "sessionInfo": {
            "key": key,
            "agentId": session.agent_id,
            "sessionId": session.session_id,
            "updatedAt": session.updated_at,
            "snapshotAt": milliseconds(),
            "effectiveQueueMode": house.settings.queue_mode,
            "hasActiveRun": run is not None,
            "activeRunIds": [run.entry.run_id] if run else [],
        },
    }
    if payload["hasMore"]:
        payload["nextOffset"] = seen
    if run is not None:
        flight = {"runId": run.entry.run_id, "text": run.voice.text.rstrip(), "startedAt": run.started_at}
        payload["inFlightRun"] = flight
    return payload
