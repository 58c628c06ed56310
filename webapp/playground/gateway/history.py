"""What `chat.history` answers: a page of a transcript, what waits, and what is being said right now."""

from typing import Any

from webapp.playground.gateway.house import House
from webapp.playground.gateway.ledger import Entry
from webapp.playground.gateway.sessions import Session, milliseconds
from webapp.playground.gateway.turns import Turns


def history(turns: Turns, house: House, key: str, limit: int, offset: int) -> dict[str, Any]:
    """The payload of `chat.history` in protocol 4."""
    session = house.sessions.get(key) or Session(key, house.default_agent)
    page, run = session.page(limit, offset), turns.active.get(key)
    seen = offset + len(page)
    waiting = [each.entry for each in turns.waiting.get(key, []) if each.entry.state == "queued"]
    items = [_pending(entry) for entry in [*(run.steered if run else []), *waiting]]
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
            **({} if run else {"activeRunIds": []}),  # left out while one is active, as recorded
        },
    }
    if payload["hasMore"]:
        payload["nextOffset"] = seen
    if run is not None:
        flight = {"runId": run.entry.run_id, "text": run.voice.text.rstrip(), "startedAt": run.started_at}
        payload["inFlightRun"] = flight
    return payload


def _pending(entry: Entry) -> dict[str, Any]:
    """A message that waits for its turn, or to be put into the turn that runs."""
    at = round(entry.began_at * 1000)
    message = {"role": "user", "content": entry.message, "timestamp": at}
    return {
        "id": f"pending-{entry.run_id}",
        "runId": entry.run_id,
        "acceptedAt": at,
        "state": "queued",
        "message": message,
    }
