"""Who did what, from where, to what."""

from datetime import datetime
from typing import Any

import msgspec

from models import history, listing
from models.activity import Activity, ActivityKind
from webapp.api.door import Ask, Calls
from webapp.api.fields import After, Id, Limit

calls = Calls.named("activity")


class ActivityAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Which lines: of one kind, event, person, gateway or agent."""

    limit: Limit = 50
    after: After | None = None
    kind: ActivityKind | None = None
    event: str | None = None
    user_id: Id | None = None
    gateway_id: Id | None = None
    agent_id: Id | None = None


class Line(msgspec.Struct):
    """One thing that happened: a sentence, what the other side said of it, by whom and from where."""

    id: int
    at: datetime
    kind: ActivityKind
    event: str
    text: str
    detail: str | None
    actor: str
    user_id: int | None
    address: str | None
    agent_id: int | None
    gateway_id: int | None
    topic_id: int | None
    task_id: int | None
    state: str | None
    connection: str | None
    affected: dict[str, Any] | None


class Lines(msgspec.Struct):
    """A page of activity, the newest first; `next` asks for more."""

    items: list[Line]
    next: int | None


@calls.call("GET", "/activity", takes=ActivityAsked, gives=Lines)
def list_activity(ask: Ask[ActivityAsked]) -> Lines:
    """Who did what: all of it for admins and operators, for others what they or their agents did."""
    given = ask.given
    query = history.narrowed(
        history.activity(ask.user), given.kind, given.user_id, given.gateway_id, given.agent_id, given.event
    )
    rows, more = listing.page(ask.session, query, Activity.id, given.limit, given.after)
    return Lines([line(row) for row in rows], more)


def line(row: Any) -> Line:
    """A row of `history.activity`."""
    return msgspec.convert(row, Line, from_attributes=True)
