"""A plugin's session introduces itself, and says goodbye: its agent, its topic in the owner's inbox, its share."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.agent import Agent
from models.agent_session import AgentSession
from models.agent_subscription import AgentSubscription
from models.creative import Creative, CreativeShare, Level
from models.errors import Conflict, Invalid
from models.permission_request import PermissionRequest
from models.topic import Topic
from models.user import User


class Registered(NamedTuple):
    """What a session learns when it registers."""

    agent: Agent
    topic: Topic
    inbox: Creative


def register(
    session: Session,
    user: User,
    agent_name: str,
    session_id: str,
    label: str | None,
    now: datetime,
    program: str | None = None,
) -> Registered:
    """One agent per (person, name), one topic per (agent, session); safe to repeat and to race.

    1. One registration of a person at a time: those who race get the same ids.
    2. The agent, found by its identity key or made; a key that is not this person's own plugin agent is a Conflict.
    3. The session's topic in the inbox, archived ones included; the agent is its primary agent.
    4. The agent's share on the inbox, once. Nobody becomes routable by registering.
    """
    agent_name, session_id = agent_name.strip(), session_id.strip()
    if len(session_id) > 255 or not session_id.isprintable():
        raise Invalid(session_id="Give a session_id of at most 255 printable characters.")
    label = _shown(label or "")
    session.execute(select(func.pg_advisory_xact_lock(0x5EED, user.id)))
    inbox = Creative.inbox_of(session, user.id)
    agent = _agent(session, user, agent_name)
    topic = _topic(session, inbox, agent, session_id, label or session_id, now)
    _share(session, inbox, agent)
    AgentSession.registered(session, agent.id, session_id, label, _shown(program or ""))
    return Registered(agent, topic, inbox)


def _shown(label: str) -> str | None:
    """The label as a page can show it: a folder may be called anything, and that is no reason to stay away."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in label).split())[:120].strip() or None


def _agent(session: Session, user: User, agent_name: str) -> Agent:
    found = session.scalars(select(Agent).where(Agent.identity_key == Agent.identity(user.id, agent_name))).first()
    if found is None:
        return Agent.new_channel_agent(session, user, agent_name)
    if found.owner_id != user.id or not found.is_channel_agent:
        raise Conflict(f"The name {agent_name} is taken by an agent that is not a plugin of yours. Choose another.")
    found.removed_at = None
    return found


def _topic(session: Session, inbox: Creative, agent: Agent, session_id: str, label: str, now: datetime) -> Topic:
    mine = (Topic.creative_id == inbox.id, Topic.session_agent_id == agent.id, Topic.session_id == session_id)
    topic = session.scalars(select(Topic).where(*mine).with_for_update(key_share=True)).first()
    if topic is None:
        topic = Topic.create(session, inbox, _free_name(session, inbox, f"Claude {label}"))
        topic.session_agent_id, topic.session_id = agent.id, session_id
    topic.primary_agent_id = agent.id
    if topic.archived:
        topic.archive(session, False, now)
    session.flush()
    return topic


def _free_name(session: Session, inbox: Creative, name: str) -> str:
    name = name[:150]
    near = select(Topic.name).where(Topic.creative_id == inbox.id, Topic.name.startswith(name, autoescape=True))
    taken = set(session.scalars(near))
    candidates = (name, *(f"{name} ({number})" for number in range(2, len(taken) + 3)))
    return next(candidate for candidate in candidates if candidate not in taken)


def _share(session: Session, inbox: Creative, agent: Agent) -> None:
    there = (CreativeShare.creative_id == inbox.id, CreativeShare.agent_id == agent.id)
    if session.scalar(select(CreativeShare.id).where(*there)) is None:
        inbox.share(session, Level.FEEDBACK, agent_id=agent.id)


def unregister(
    session: Session, user: User, agent: Agent, topic_id: int, session_id: str | None, now: datetime
) -> None:
    """A session says goodbye: the same stairs as a lost socket, without the waiting.

    1. Lock the topic (when it is the agent's own, in this person's inbox), then the agent.
    2. The session's rows go; silent ones are dropped.
    3. No live sibling: all open work is cancelled. A live sibling: only this session's own.
    4. The topic is archived. What waits elsewhere is advanced after the commit.
    """
    topic = _own_topic(session, user, agent, topic_id)
    leaving = session_id or (topic.session_id if topic else None)
    [agent] = Agent.locked(session, agent.id)
    if leaving is not None:
        for row in AgentSubscription.of(session, agent.id):
            if row.session_id == leaving:
                session.delete(row)
        session.flush()
    AgentSubscription.drop_stale(session, agent.id, now)
    agent.leave(session, leaving, now)
    if topic is not None:
        PermissionRequest.close_tools_in(session, agent.id, topic.id)
        topic.archive(session, True, now)


def _own_topic(session: Session, user: User, agent: Agent, topic_id: int) -> Topic | None:
    inbox = Creative.inbox_of(session, user.id)
    topic = Topic.locked(session, topic_id)
    if topic is None or topic.creative_id != inbox.id or topic.archived or topic.primary_agent_id != agent.id:
        return None
    return topic
