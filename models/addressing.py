"""Where work for an agent behind a gateway goes: which gateway, which of its agents, under which session key."""

from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from models.agent import Agent
from models.creative import Creative
from models.hub_identity import HubIdentity
from models.session_key import SessionKey
from models.task import Task


class Address(NamedTuple):
    """The gateway, its agent, the session key, and a marked block of context that goes before the text, if any."""

    gateway_id: int
    gateway_agent_id: str
    session_key: str
    context: str | None = None


def address_of(session: Session, topic: Any, task: Task, agent: Agent) -> Address | str:
    """Where this task goes; a sentence when there is no place for it now."""
    if agent.gateway_id is None or agent.gateway_agent_id is None:
        return f"{agent.handle} has no gateway. Choose one on its page."
    key = session_key(session, topic, agent.gateway_agent_id)
    return Address(agent.gateway_id, agent.gateway_agent_id, str(key))


def session_key(session: Session, topic: Any, gateway_agent_id: str) -> SessionKey:
    """The address of a topic at a gateway's agent: the same for everybody who writes there."""
    creative = session.get_one(Creative, topic.creative_id)
    inside = None if creative.is_inbox else creative.id
    return SessionKey(gateway_agent_id, creative.owner_id, inside, topic.id, HubIdentity.of(session))
