"""How an agent's presence reads: one lamp and its words, from a row of `models.overview.agents`."""

from datetime import timedelta
from typing import Any

from markupsafe import Markup

from models.base import utcnow
from webapp.fragments import grace_end, moment


def lamp(row: Any) -> dict[str, Any]:
    """{state, word, meta}: what it does now, and since or until when."""
    if row.working and row.live:
        return {
            "state": "working",
            "word": "Working",
            "meta": Markup("for {}").format(moment(row.working_since, "span")),
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
    return {"state": found["state"], "word": found["word"].lower() if row.live or not row.dropped else "dropped"}


def can_take_work(row: Any) -> bool:
    """Whether work may be given to it now."""
    return row.live > 0


def _grace(row: Any) -> Markup:
    end = grace_end(row.dropped_at)
    if end <= utcnow() + timedelta(seconds=1):
        return Markup("its grace time is over")
    return Markup("{} of grace").format(moment(end, "left"))
