"""Many connections come or go at the same moment: all in one statement, by two functions of the database.

What needs more than that is told to the caller, who does it for the one connection: nothing here waits for a lock that
somebody else holds, unless it is told to.
"""

import functools
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Integer, Select, Text, and_, bindparam, column, exists, func, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from models.database import rules
from models.permission_request import PermissionRequest
from models.task import Task

UNSUBSCRIBE = text("SELECT busy FROM unsubscribe_agents(:tokens, :stale)")


class Arrival(NamedTuple):
    """A connection that subscribes to an agent: who is behind it, and the token of its presence row."""

    agent_id: int
    user_id: int
    session_id: str | None
    token: str
    process_id: int | None


class Outcome(StrEnum):
    """What became of an arrival."""

    REFUSED = "refused"  # it is not this person's agent
    LISTENS = "listens"  # no plugin's agent: it is heard, and has no presence
    LIVE = "live"
    WORK = "work"  # open work is to be judged first (`Agent.subscribe`): nothing was done
    BUSY = "busy"  # somebody holds the agent: nothing was done


class Arrived(NamedTuple):
    """`waits`: the agent's return means something to a topic. A question may go on (`deciding.go_on_later`), or the
    topic has yet to say what was cancelled meanwhile.
    """

    outcome: Outcome
    waits: bool = False


def subscribe(session: Session, arrivals: Sequence[Arrival], *, wait: bool = False) -> list[Arrived]:
    """The presence rows of these connections, as one statement, by ascending agent id; each one's outcome in turn.

    `wait`: an agent that somebody holds is waited for, so that nobody is `BUSY`.
    """
    values = {
        "agents": [one.agent_id for one in arrivals],
        "users": [one.user_id for one in arrivals],
        "sessions": [one.session_id for one in arrivals],
        "tokens": [one.token for one in arrivals],
        "processes": [one.process_id for one in arrivals],
        "stale": rules().stale_seconds,
        "wait": wait,
    }
    found = {row.token: Arrived(Outcome(row.outcome), row.waits) for row in session.execute(_subscribing(), values)}
    return [found[one.token] for one in arrivals]


def unsubscribe(session: Session, tokens: Sequence[str]) -> list[bool]:
    """The ends of these connections, as one statement. False for one whose agent somebody holds: it has yet to leave
    (`Agent.unsubscribe`).
    """
    values = {"tokens": list(tokens), "stale": rules().stale_seconds}
    busy = set(session.scalars(UNSUBSCRIBE, values))
    return [token not in busy for token in tokens]


@functools.cache
def _subscribing() -> Select[*tuple[Any, ...]]:
    numbers, texts = ARRAY(BigInteger), ARRAY(Text)
    found = func.subscribe_agents(
        bindparam("agents", type_=numbers),
        bindparam("users", type_=numbers),
        bindparam("sessions", type_=texts),
        bindparam("tokens", type_=texts),
        bindparam("processes", type_=ARRAY(Integer)),
        bindparam("stale"),
        bindparam("wait"),
    ).table_valued(column("agent", BigInteger), column("token", Text), column("outcome", Text), name="found")
    untold = exists().where(Task.agent_id == found.c.agent, Task.untold_at.is_not(None))
    goes_on = exists().where(PermissionRequest.waits_to_go_on(found.c.agent))
    may_wait = found.c.outcome.in_([Outcome.LIVE, Outcome.WORK])
    return select(found.c.token, found.c.outcome, and_(may_wait, or_(goes_on, untold)).label("waits"))
