"""What is done with what a gateway said that fits no topic: put where it belongs, or thrown away; once."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from models.agent import Agent
from models.creative import Level
from models.errors import NotFound, WrongState
from models.gateway import Gateway
from models.hears_runs import Run
from models.topic import Topic
from models.tray_item import TrayItem, TrayRoute
from models.user import User

MOST_COUNTED = 100


def waiting() -> Select[*tuple[TrayItem, str, int]]:
    """What lies in the tray: the item, its gateway's name, its id; to be ordered by id."""
    named = select(TrayItem, Gateway.name, TrayItem.id).join(Gateway, Gateway.id == TrayItem.gateway_id)
    return named.where(TrayItem.ended_at.is_(None))


def counted() -> Select[int]:
    """How much lies in the tray (100 at most)."""
    some = select(TrayItem.id).where(TrayItem.ended_at.is_(None)).limit(MOST_COUNTED)
    return select(func.count()).select_from(some.subquery())


def found(session: Session, id: int) -> Any:
    """A row of `waiting`. Raises NotFound, WrongState when it was dealt with before."""
    row = session.execute(waiting().where(TrayItem.id == id)).first()
    if row is None:
        raise _gone(session, id)
    return row


def assign(session: Session, id: int, user: User, topic_id: int, remember: bool, now: datetime) -> TrayItem:
    """Says it in a topic in which the person may write, as unasked; `remember`: what comes under its key, too.

    Raises NotFound, Forbidden, WrongState. Locks topic, then item.
    """
    seen = Topic.seen_by(session, user, topic_id)
    topic = Topic.locked(session, seen.id) or seen
    topic.creative(session).require(session, user, Level.FEEDBACK)
    if topic.archived:
        raise WrongState("This topic was put away. Bring it back, or choose another one.")
    item = _locked(session, id)
    run = Run(item.gateway_id, item.run_id, "final", item.text)
    message = topic.said_unasked(session, speaker(session, topic, item), run, item.source, None)
    if remember:
        TrayRoute.remember(session, item.gateway_id, item.session_key, topic.id, user.id)
    item.end(session, user.id, now, topic.id, message.id)
    return item


def throw_away(session: Session, id: int, user: User, now: datetime) -> None:
    """It is read by nobody. Raises NotFound, WrongState."""
    _locked(session, id).end(session, user.id, now, None, None)


def speaker(session: Session, topic: Topic, item: TrayItem) -> Agent | None:
    """Which of the topic's agents said it: the gateway's agent of that name, else another one behind it, if any."""
    here = Agent.usable_in(topic.creative_id).where(Agent.gateway_id == item.gateway_id)
    agents = list(session.scalars(here))
    parts = item.session_key.lower().split(":")
    name = parts[1] if len(parts) > 1 and parts[0] == "agent" else None
    agents.sort(key=lambda one: ((one.gateway_agent_id or "").lower() != name, one.id != topic.primary_agent_id))
    return agents[0] if agents else None


def _locked(session: Session, id: int) -> TrayItem:
    query = select(TrayItem).where(TrayItem.id == id, TrayItem.ended_at.is_(None)).with_for_update()
    item = session.scalars(query.execution_options(populate_existing=True)).first()
    if item is None:
        raise _gone(session, id)
    return item


def _gone(session: Session, id: int) -> NotFound | WrongState:
    if session.get(TrayItem, id) is None:
        return NotFound("There is no such thing in the tray.")
    return WrongState("Somebody dealt with this before. It is no longer in the tray.")
