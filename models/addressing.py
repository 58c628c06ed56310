"""Where work for an agent behind a gateway goes: which gateway, which of its agents, under which session key.

A chat is answered on its seat; what a new seat does not know yet goes before the first message there.
"""

from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from models.agent import Agent
from models.chat_context import context_for
from models.chat_session import ChatSession, ChatState
from models.creative import Creative
from models.hub_identity import HubIdentity
from models.session_key import SessionKey
from models.task import Task

WAITS_FOR_A_SEAT = "Every seat is taken. This goes out as soon as one is free."


class Address(NamedTuple):
    """The gateway, its agent, the session key, and a marked block of context that goes before the text, if any."""

    gateway_id: int
    gateway_agent_id: str
    session_key: str
    context: str | None = None


def address_of(session: Session, topic: Any, task: Task, agent: Agent) -> Address | str:
    """Where this task goes; a sentence when there is no place for it now. A chat's seat was taken before."""
    if agent.gateway_id is None or agent.gateway_agent_id is None:
        return f"{agent.handle} has no gateway. Choose one on its page."
    name, context = agent.gateway_agent_id, None
    chat = None if topic.chat_id is None else ChatSession.get(session, topic.chat_id)
    if chat is not None and chat.agent_id == agent.id:
        if chat.state == ChatState.WAITING or chat.answered_by is None:
            return WAITS_FOR_A_SEAT
        name, context = chat.answered_by, context_for(session, chat, task)
    return Address(agent.gateway_id, name, str(session_key(session, topic, name)), context)


def session_key(session: Session, topic: Any, gateway_agent_id: str) -> SessionKey:
    """The address of a topic at a gateway's agent: the same for everybody who writes there."""
    creative = session.get_one(Creative, topic.creative_id)
    inside = None if creative.is_inbox else creative.id
    return SessionKey(gateway_agent_id, creative.owner_id, inside, topic.id, HubIdentity.of(session))
