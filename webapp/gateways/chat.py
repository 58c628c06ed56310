"""Runs in today's dialect: what a `chat` event says of one."""

from webapp.gateways.wire import (
    LONGEST_RUN_ID,
    LONGEST_SESSION_KEY,
    LONGEST_WORDS,
    ChatEvent,
    Event,
    mapping,
    said_text,
    text_or_none,
)


def chat_event(event: Event) -> ChatEvent | None:
    """A step of a run, or None: another event, or one without run, session or state."""
    if event.name != "chat" or not isinstance(event.payload, dict):
        return None
    payload = event.payload
    run_id, key, state = payload.get("runId"), payload.get("sessionKey"), payload.get("state")
    if not (isinstance(run_id, str) and isinstance(key, str) and isinstance(state, str)):
        return None
    if not 0 < len(run_id) <= LONGEST_RUN_ID or len(key) > LONGEST_SESSION_KEY:
        return None
    piece, replace = payload.get("deltaText"), payload.get("replace") is True
    piece = piece if isinstance(piece, str) else None
    message = mapping(payload.get("message"))
    text = said_text(message)
    if text is None and state == "delta" and replace:
        text = piece or ""
    return ChatEvent(
        run_id=run_id,
        session_key=key,
        agent_id=text_or_none(payload.get("agentId")) or agent_in(key),
        state=state,
        text=text,
        delta_text=piece,
        replace=replace,
        error_message=(text_or_none(payload.get("errorMessage")) or "")[:LONGEST_WORDS] or None,
        stop_reason=text_or_none(payload.get("stopReason")),
        model=text_or_none(message.get("model")),
        seq=event.seq,
    )


def agent_in(session_key: str) -> str | None:
    """The agent that a canonical session key names (`agent:<id>:<rest>`)."""
    first, _, rest = session_key.partition(":")
    agent, separator, _ = rest.partition(":")
    return agent if first == "agent" and separator and agent else None
