"""Who takes a message: agents named, else the topic's own, else routable agents whose expression accepts it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import routing
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.creative import Creative
from models.mentions import mentioned


class Place(Protocol):
    """What is asked of a topic."""

    id: int
    name: str
    creative_id: int
    primary_agent_id: int | None
    session_agent_id: int | None
    session_id: str | None


@dataclass(frozen=True)
class Listeners:
    """The agents that take a message, what each of them waits for, or why nobody takes it."""

    agents: list[Agent] = field(default_factory=list)
    waits_for: dict[int, str | None] = field(default_factory=dict)
    why: str | None = None


def listeners(session: Session, topic: Place, text: str, author: str, now: datetime) -> Listeners:
    """Who would take this text now. A named agent that is away takes it into its queue."""
    usable = list(session.scalars(Agent.usable_in(topic.creative_id).limit(1000)))
    live = _live_sessions(session, [agent.id for agent in usable], now)
    chosen = mentioned(text, usable) or [agent for agent in usable if agent.id == topic.primary_agent_id]
    if not chosen:
        chosen = _by_expression(session, topic, text, author, [agent for agent in usable if agent.id in live])
    if not chosen:
        return Listeners(why=_why_nobody(usable))
    waits = {agent.id: _waits_for(agent, topic, live.get(agent.id, set())) for agent in chosen}
    return Listeners(sorted(chosen, key=lambda agent: agent.id), waits)


def called(session: Session, topic: Place, text: str, author: Agent, now: datetime) -> Listeners:
    """Whom an agent calls by name in its answer: nobody else takes what an agent says."""
    usable = [
        agent for agent in session.scalars(Agent.usable_in(topic.creative_id).limit(1000)) if agent.id != author.id
    ]
    chosen = mentioned(text, usable)
    if not chosen:
        return Listeners()
    live = _live_sessions(session, [agent.id for agent in chosen], now)
    waits = {agent.id: _waits_for(agent, topic, live.get(agent.id, set())) for agent in chosen}
    return Listeners(sorted(chosen, key=lambda agent: agent.id), waits)


def _live_sessions(session: Session, ids: list[int], now: datetime) -> dict[int, set[str | None]]:
    rows = select(AgentSubscription.agent_id, AgentSubscription.session_id).where(
        AgentSubscription.agent_id.in_(ids), AgentSubscription.live(now)
    )
    live: dict[int, set[str | None]] = {}
    for agent_id, session_id in session.execute(rows):
        live.setdefault(agent_id, set()).add(session_id)
    return live


def _by_expression(session: Session, topic: Place, text: str, author: str, routable: list[Agent]) -> list[Agent]:
    asking = [agent for agent in routable if agent.routing_expression]
    if not asking:
        return []
    creative = session.get_one(Creative, topic.creative_id)
    facts: dict[str, Any] = {
        "message": {"text": text, "author": author, "author_kind": "user"},
        "topic": {"id": topic.id, "name": topic.name},
        "creative": {"id": creative.id, "name": creative.name},
    }
    accepts = []
    for agent in asking:
        if routing.accepts(agent.routing_expression or "", {**facts, "agent": {"name": agent.handle}}):
            accepts.append(agent)
    return accepts


def _waits_for(agent: Agent, topic: Place, sessions: set[str | None]) -> str | None:
    if not sessions:
        return f"{agent.handle} is not connected."
    if topic.session_id is not None and agent.id == topic.session_agent_id and topic.session_id not in sessions:
        return f"The session of {agent.handle} that this topic belongs to is not connected."
    return None


def _why_nobody(usable: list[Agent]) -> str:
    if not usable:
        return "No agent works here yet. Connect one, then name it with @."
    names = ", ".join(f"@{agent.handle}" for agent in usable[:3])
    return f"Nobody here takes this. Name an agent ({names}), or let one take what is written here."
