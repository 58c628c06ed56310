"""Gateways that fell lately: since when, how often, and whether they are back. A topic tells it in one quiet line."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from models.activity import Activity
from models.agent import Agent
from models.gateway import Gateway
from models.gateway_states import GatewayState
from models.prepared import prepared, rows
from models.task import Task

LATELY = timedelta(hours=1)
MOST_LINES = 100
DOWN = (GatewayState.RECONNECTING, GatewayState.ERROR)


class Fall(NamedTuple):
    """One gateway's: `times` it fell since `at`; `back_at` is None while it is not there."""

    gateway_id: int
    name: str
    at: datetime
    times: int
    back_at: datetime | None


def in_topic(session: Session, topic_id: int, agent_id: int | None, now: datetime) -> list[Fall]:
    """Those of its agent (`agent_id`), and those that worked in it within a day, by name."""
    by_gateway: dict[tuple[int, str], list[tuple[datetime, str]]] = {}
    for id, name, at, state in rows(session, *_lines(topic_id, agent_id, now - timedelta(days=1))):
        by_gateway.setdefault((id, name), []).append((at, state))
    return [found for about, stood in by_gateway.items() if (found := fallen(*about, stood, now - LATELY)) is not None]


@prepared
def _lines(topic_id: int, agent_id: int | None, since: datetime) -> Select[int, str, datetime, str]:
    worked = select(Task.gateway_id).where(Task.topic_id == topic_id, Task.created_at > since)
    home = select(Agent.gateway_id).where(Agent.id == agent_id)
    lines = (
        select(Activity.id, Activity.at, Activity.state)
        .where(Activity.gateway_id == Gateway.id, Activity.state.is_not(None))
        .order_by(Activity.id.desc())
        .limit(MOST_LINES)
        .lateral("lines")
    )
    here = (Gateway.removed_at.is_(None), or_(Gateway.id.in_(home), Gateway.id.in_(worked)))
    told = select(Gateway.id, Gateway.name, lines.c.at, lines.c.state).join(lines, Gateway.id == Gateway.id)
    return told.where(*here).order_by(Gateway.name, lines.c.id)


def fallen(id: int, name: str, stood: Iterable[tuple[datetime, str]], since: datetime) -> Fall | None:
    """What becomes of its states, oldest first: None when it was up all the time since, or is stopped on purpose."""
    before, falls, back_at = "", list[datetime](), None
    for at, state in stood:
        if state in DOWN and before == GatewayState.RUNNING:
            falls.append(at)
            back_at = None
        elif state == GatewayState.RUNNING and before != state and falls:
            back_at = at
        before = state
    if before in (GatewayState.STOPPED, "") or (back_at is not None and back_at < since):
        return None
    lately = [at for at in falls if at >= since] or falls[-1:]
    return Fall(id, name, lately[0], len(lately), back_at) if lately else None
