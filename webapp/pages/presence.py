"""How an agent's presence reads: one lamp and its words, from a row of `models.overview.agents`."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from markupsafe import Markup

from models.agent import Agent, AgentKind
from models.base import utcnow
from models.gateway_states import ConnectionState
from webapp import gateway_words
from webapp.fragments import grace_end, moment


def lamp(row: Any) -> dict[str, Any]:
    """{state, word, meta}: what it does now, and since or until when."""
    if row.kind == AgentKind.GATEWAY:
        return _behind_gateway(row)
    if row.working and row.live:
        return {
            "state": "working",
            "word": "Working",
            "meta": _since(row),
        }
    if row.live and row.dropped:
        return {"state": "waiting", "word": "One session dropped", "meta": _grace(row)}
    if row.live:
        return {"state": "live", "word": "Live", "meta": "free"}
    if row.dropped:
        return {"state": "waiting", "word": "Dropped", "meta": _grace(row)}
    since = None if row.away_since is None else Markup("since {}").format(moment(row.away_since, "moment"))
    return {"state": "off", "word": "Away", "meta": since}


def brief(row: Any) -> dict[str, str]:
    """{state, word} for a tight aside."""
    found = lamp(row)
    full = row.kind == AgentKind.GATEWAY or row.live or not row.dropped
    return {"state": found["state"], "word": found["word"].lower() if full else "dropped"}


def can_take_work(row: Any) -> bool:
    """Whether work may be given to it now."""
    return Agent.why_not(row, row.live > 0) is None


def _behind_gateway(row: Any) -> dict[str, Any]:
    """An agent behind a gateway is there when its gateway is."""
    why = Agent.why_not(row, False)
    gateway = SimpleNamespace(
        name=row.gateway_name,
        state=row.gateway_state,
        problem_code=row.gateway_problem,
        draining=row.gateway_draining,
        missing_scopes=row.gateway_missing_scopes,
    )
    if row.working:
        return {"state": "working", "word": "Working", "meta": _since(row)}
    if why is not None and (row.key_differs or row.gateway_removed_at is not None or row.gateway_name is None):
        return {"state": "trouble", "word": "Cannot take work", "meta": why}
    shown = gateway_words.lamp(gateway)
    said = f"{row.gateway_name} {shown.said}"
    if why is None and row.gateway_connection == ConnectionState.CONNECTED:
        return {"state": "live", "word": "Live", "meta": "free"}
    if why is None:
        return {"state": "waiting", "word": "Waits", "meta": said}
    if shown.state == "off":
        return {"state": "off", "word": "Away", "meta": said}
    if row.gateway_draining:
        return {"state": "waiting", "word": "Takes no new work", "meta": said}
    return {"state": "trouble", "word": "Cannot take work", "meta": said}


def _since(row: Any) -> Markup:
    return Markup("for {}").format(moment(row.working_since, "span"))


def _grace(row: Any) -> Markup:
    end = grace_end(row.dropped_at)
    if end <= utcnow() + timedelta(seconds=1):
        return Markup("its grace time is over")
    return Markup("{} of grace").format(moment(end, "left"))
