"""Who takes a message: agents named, else the topic's own, else routable agents whose expression accepts it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from models import routing
from models.agent import Agent, AgentKind
from models.agent_subscription import AgentSubscription
from models.creative import Creative
from models.mentions import mentioned
from models.prepared import among, prepared, rows

MOST_AGENTS = 1000

NOBODY = "Nobody here takes this. "


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
    usable = list(session.scalars(*_usable(topic.creative_id)))
    there = _Presence(session, usable, now)
    chosen = mentioned(text, usable) or [agent for agent in usable if agent.id == topic.primary_agent_id]
    if not chosen:
        routable = [agent for agent in usable if there.routable(agent)]
        chosen = _by_expression(session, topic, text, author, routable)
    if not chosen:
        return Listeners(why=_why_nobody(usable))
    waits = {agent.id: there.waits_for(agent, topic) for agent in chosen}
    return Listeners(sorted(chosen, key=lambda agent: agent.id), waits)


def called(session: Session, topic: Place, text: str, author: Agent, now: datetime) -> Listeners:
    """Whom an agent calls by name in its answer: nobody else takes what an agent says."""
    if "@" not in text:
        return Listeners()
    usable = [agent for agent in session.scalars(*_usable(topic.creative_id)) if agent.id != author.id]
    chosen = mentioned(text, usable)
    if not chosen:
        return Listeners()
    there = _Presence(session, chosen, now)
    waits = {agent.id: there.waits_for(agent, topic) for agent in chosen}
    return Listeners(sorted(chosen, key=lambda agent: agent.id), waits)


@prepared
def _usable(creative_id: int) -> Select[Agent]:
    return Agent.usable_in(creative_id).limit(MOST_AGENTS)


@prepared
def _sessions(agent_ids: Sequence[int], now: datetime) -> Select[int, str | None]:
    live = (among(AgentSubscription.agent_id, agent_ids), AgentSubscription.live(now))
    return select(AgentSubscription.agent_id, AgentSubscription.session_id).where(*live)


class _Presence:
    """Who of some agents can take work now: plugins by their live sessions, others by their gateways."""

    def __init__(self, session: Session, agents: list[Agent], now: datetime) -> None:
        plugins = [agent.id for agent in agents if agent.kind != AgentKind.GATEWAY]
        others = [agent.id for agent in agents if agent.kind == AgentKind.GATEWAY]
        self._live: dict[int, set[str | None]] = {}
        for agent_id, session_id in rows(session, *_sessions(plugins, now)) if plugins else ():
            self._live.setdefault(agent_id, set()).add(session_id)
        self._reasons = Agent.reasons(session, others) if others else {}

    def routable(self, agent: Agent) -> bool:
        if agent.kind == AgentKind.GATEWAY:
            return self._reasons.get(agent.id) is None
        return agent.id in self._live

    def waits_for(self, agent: Agent, topic: Place) -> str | None:
        if agent.kind == AgentKind.GATEWAY:
            return self._reasons.get(agent.id)
        sessions = self._live.get(agent.id, set())
        if not sessions:
            return f"{agent.handle} is not connected."
        if topic.session_id is not None and agent.id == topic.session_agent_id and topic.session_id not in sessions:
            return f"The session of {agent.handle} that this topic belongs to is not connected."
        return None


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


def _why_nobody(usable: list[Agent]) -> str:
    if not usable:
        return "No agent works here yet. Connect one, then name it with @."
    names = ", ".join(f"@{agent.handle}" for agent in usable[:3])
    return f"{NOBODY}Name an agent ({names}), or let one take what is written here."
