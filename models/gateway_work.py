"""What the holder of a gateway asks of the rows: what waits to be sent, what is under way, and whose a session is.

A session key is an address and never a right: `place_of` says where what comes under it belongs, or why nowhere.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, ColumnExpressionArgument, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from models.addressing import session_key
from models.agent import Agent
from models.chat_session import ChatSession
from models.creative import Creative
from models.gateway import Gateway
from models.gateway_states import GatewayState, Happening
from models.hub_identity import HubIdentity
from models.prepared import among, prepared
from models.process import SEEN_WITHIN, Process, host
from models.session_key import SessionKey
from models.task import Task, TaskStatus
from models.task_status import RUNNING
from models.topic import Topic
from models.tray_item import TrayRoute

MOST = 200
# Sessions in which something was said no longer ago are read again after each connect.
LOOK_BACK = timedelta(days=7)


class Place(NamedTuple):
    """Where a message belongs: the topic, and the agent there that said it."""

    topic_id: int
    agent_id: int
    gateway_id: int


def waiting_topics(session: Session, gateway_id: int) -> list[int]:
    """Topics in which work for agents behind this gateway waits and nobody is at work, the longest waiting first."""
    return list(session.scalars(*_waiting_topics(gateway_id)))


@prepared
def _waiting_topics(gateway_id: int) -> Select[int]:
    busy = aliased(Task)
    at_work = exists().where(busy.topic_id == Task.topic_id, busy.status.in_(RUNNING), busy.pending_tool_call.is_(None))
    mine = select(Agent.id).where(Agent.gateway_id == gateway_id)
    waits = (Task.agent_id.in_(mine), Task.finished_at.is_(None), Task.waits_its_turn(), ~at_work)
    return select(Task.topic_id).where(*waits).group_by(Task.topic_id).order_by(func.min(Task.id)).limit(MOST)


def under_way(session: Session, gateway_ids: Collection[int]) -> list[Task]:
    """Tasks claimed for, or given to, these gateways."""
    mine = (Task.gateway_id.in_(list(gateway_ids)), Task.status.in_(RUNNING), Task.run_id.is_not(None))
    return list(session.scalars(select(Task).where(*mine).order_by(Task.id)))


def untold(session: Session, gateway_id: int, ids: Sequence[int], after: timedelta) -> list[Task]:
    """Of the tasks under way there: these, and those that were claimed so long ago and have not begun since."""
    return list(session.scalars(*_untold(gateway_id, ids, after)))


@prepared
def _untold(gateway_id: int, ids: Sequence[int], after: timedelta) -> Select[Task]:
    claimed = and_(Task.status == TaskStatus.CLAIMED, Task.claimed_at <= func.now() - after)
    mine = (Task.gateway_id == gateway_id, Task.status.in_(RUNNING), Task.run_id.is_not(None))
    return select(Task).where(*mine, or_(claimed, among(Task.id, ids))).order_by(Task.id)


def task_of_run(session: Session, gateway_ids: Collection[int], run_id: str) -> Task | None:
    """The task that a run of these gateways is for, open or ended."""
    return session.scalars(*_task_of_run(list(gateway_ids), run_id[:200])).first()


@prepared
def _task_of_run(gateway_ids: Sequence[int], run_id: str) -> Select[Task]:
    mine = (among(Task.gateway_id, gateway_ids), Task.run_id == run_id)
    return select(Task).where(*mine).order_by(Task.id.desc()).limit(1)


def tasks_in_session(session: Session, gateway_ids: Collection[int], key: str) -> list[Task]:
    """Tasks under way in a session, by its key in any case."""
    return list(session.scalars(*_tasks_in_session(list(gateway_ids), key.lower())))


@prepared
def _tasks_in_session(gateway_ids: Sequence[int], key: str) -> Select[Task]:
    mine = (among(Task.gateway_id, gateway_ids), Task.status.in_(RUNNING), Task.session_key == key)
    return select(Task).where(*mine).order_by(Task.id)


def has_open_work(session: Session, gateway_id: int) -> bool:
    """Whether anything waits for this gateway or is under way there."""
    mine = select(Agent.id).where(Agent.gateway_id == gateway_id)
    open_ = exists().where(Task.finished_at.is_(None), or_(Task.gateway_id == gateway_id, Task.agent_id.in_(mine)))
    return bool(session.scalar(select(open_)))


def is_needed(session: Session, gateway_id: int) -> bool:
    """Whether work that could go out waits for this gateway: one that is connected only when needed is needed now."""
    mine = select(Agent.id).where(Agent.gateway_id == gateway_id, Agent.key_differs.is_(False))
    return bool(session.scalar(select(exists().where(Task.agent_id.in_(mine), Task.status == TaskStatus.QUEUED))))


def agent_ids(session: Session, gateway_id: int) -> list[int]:
    """The agents behind a gateway."""
    mine = (Agent.gateway_id == gateway_id, Agent.removed_at.is_(None))
    return list(session.scalars(select(Agent.id).where(*mine).order_by(Agent.id)))


def mark_due(session: Session, gateway_id: int, now: datetime) -> None:
    """Whether its agents can take work has changed: what waits for them is looked at again."""
    for id in agent_ids(session, gateway_id):
        Task.mark_due(session, now, agent_id=id)


def sharing(session: Session, address: str) -> list[Gateway]:
    """Wanted gateways at this address, by id."""
    mine = (Gateway.address == address, Gateway.wanted, Gateway.removed_at.is_(None))
    return list(session.scalars(select(Gateway).where(*mine).order_by(Gateway.id)))


def open_sessions(session: Session, gateway_ids: Collection[int], now: datetime) -> list[tuple[str, int, int]]:
    """(session key, topic, agent) of conversations with agents behind these gateways, the liveliest first.

    Those of topics whose own agent lives there, and those to which work went within the last week.
    """
    ids = list(gateway_ids)
    worked = select(Task.topic_id, Task.agent_id, func.max(Task.id).label("last")).where(
        Task.gateway_id.in_(ids), Task.created_at > now - LOOK_BACK
    )
    found = {
        (row.topic_id, row.agent_id): row.last
        for row in session.execute(worked.group_by(Task.topic_id, Task.agent_id).limit(MOST))
    }
    own = (
        select(Topic.id, Topic.primary_agent_id)
        .join(Agent, Agent.id == Topic.primary_agent_id)
        .where(Agent.gateway_id.in_(ids), Agent.removed_at.is_(None), Topic.archived_at.is_(None))
        .order_by(Topic.last_message_id.desc().nulls_last(), Topic.id.desc())
        .limit(MOST)
    )
    for row in session.execute(own):
        found.setdefault((row.id, row.primary_agent_id), 0)
    topics = {topic.id: topic for topic in session.scalars(select(Topic).where(Topic.id.in_({t for t, _ in found})))}
    agents = {agent.id: agent for agent in session.scalars(select(Agent).where(Agent.id.in_({a for _, a in found})))}
    keys = []
    for (topic_id, agent_id), _ in sorted(found.items(), key=lambda item: -item[1])[:MOST]:
        topic, agent = topics[topic_id], agents[agent_id]
        if agent.gateway_agent_id and topic.archived_at is None:
            keys.append((str(session_key(session, topic, agent.gateway_agent_id)), topic_id, agent_id))
    sent = select(Task.session_key, Task.topic_id, Task.agent_id).where(
        Task.gateway_id.in_(ids), Task.session_key.is_not(None), Task.created_at > now - LOOK_BACK
    )
    keys += [(row.session_key, row.topic_id, row.agent_id) for row in session.execute(sent.distinct().limit(MOST))]
    return list({key: (key, topic_id, agent_id) for key, topic_id, agent_id in reversed(keys)}.values())[::-1]


def place_of(session: Session, gateway_ids: Sequence[int], text: str) -> Place | str:
    """Where what comes under this key from these gateways (of one address) belongs; a sentence says why nowhere.

    A person's choice in the tray goes first. Then: topic and creative exist and belong together, the topic is not
    archived, its creative is that person's, and one of the agents that work there lives at this gateway.
    """
    for gateway_id in gateway_ids:
        chosen = TrayRoute.topic_for(session, gateway_id, text)
        topic = None if chosen is None else session.get(Topic, chosen)
        if topic is not None and not topic.archived:
            return _speaker(session, topic, gateway_ids, _agent_in(text), strict=False)
    key = SessionKey.parse(text)
    if key is None:
        return "Its session key names no topic."
    if key.hub is not None and key.hub != HubIdentity.of(session):
        return "Its session key belongs to another hub."
    topic = _topic(session, key, gateway_ids)
    if topic is None:
        return "The topic that its session key names is not here."
    creative = session.get_one(Creative, topic.creative_id)
    fits = creative.is_inbox if key.creative_id is None else creative.id == key.creative_id
    if not fits:
        return "Topic and creative of its session key do not belong together."
    if creative.owner_id != key.user_id:
        return "The person that its session key names does not own that conversation."
    if topic.archived:
        return "Its topic was put away."
    return _speaker(session, topic, gateway_ids, key.agent, strict=True)


def _topic(session: Session, key: SessionKey, gateway_ids: Sequence[int]) -> Topic | None:
    if key.topic_id is not None:
        return session.get(Topic, key.topic_id)
    # An older hub's key without a topic: the newest topic of that agent in that creative, or in the person's inbox.
    inbox = (Creative.is_inbox, Creative.owner_id == key.user_id)
    where = (Creative.id == key.creative_id,) if key.creative_id is not None else inbox
    agents = select(Agent.id).where(
        Agent.gateway_id.in_(list(gateway_ids)), func.lower(Agent.gateway_agent_id) == key.agent
    )
    used = exists().where(Task.topic_id == Topic.id, Task.agent_id.in_(agents))
    query = (
        select(Topic)
        .join(Creative, Creative.id == Topic.creative_id)
        .where(*where, Topic.archived_at.is_(None), or_(Topic.primary_agent_id.in_(agents), used))
        .order_by(Topic.id.desc())
        .limit(1)
    )
    return session.scalars(query).first()


def _speaker(
    session: Session, topic: Topic, gateway_ids: Sequence[int], gateway_agent: str | None, *, strict: bool
) -> Place | str:
    """The agent of the topic that lives at this gateway: the one named, else (not `strict`) any.

    In a chat it is the chat's own, whichever seat speaks for it.
    """
    here = Agent.usable_in(topic.creative_id).where(Agent.gateway_id.in_(list(gateway_ids)))
    agents = list(session.scalars(here))
    named = [agent for agent in agents if (agent.gateway_agent_id or "").lower() == gateway_agent]
    chat = None if topic.chat_id is None else session.get(ChatSession, topic.chat_id)
    named = named or [agent for agent in agents if chat is not None and agent.id == chat.agent_id]
    if not strict:
        named = named or agents
    named.sort(key=lambda agent: (agent.id != topic.primary_agent_id, agent.id))
    if not named:
        return "None of the agents of its topic lives at this gateway under that name."
    return Place(topic.id, named[0].id, named[0].gateway_id or gateway_ids[0])


def _agent_in(text: str) -> str | None:
    parts = text.lower().split(":", 2)
    return parts[1] if len(parts) == 3 and parts[0] == "agent" else None


def take_over(session: Session, gateway: Gateway, now: datetime) -> None:
    """Whoever takes a gateway has no socket to it yet, whatever its last holder wrote."""
    if gateway.state == GatewayState.RUNNING:
        words = "The process of this hub that held it is gone: another one takes over."
        gateway.happened(session, Happening.LOST, now, words, retry_in=timedelta(0))


def to_take(session: Session) -> dict[str, list[int]]:
    """Wanted gateways that nobody holds, by address; none whose address somebody else holds: one socket an address.

    One whose process still runs is taken too when it is wanted no more, or removed, to be ended; and none whose process
    runs on another machine of this hub.
    """
    return _by_address(session, *_to_take())


@prepared
def _to_take() -> Select[str, int]:
    other = aliased(Gateway)
    taken = exists().where(
        other.address == Gateway.address, other.removed_at.is_(None), other.held_until > func.clock_timestamp()
    )
    there = exists().where(Process.host == Gateway.pid_host, Process.seen_at > func.clock_timestamp() - SEEN_WITHIN)
    here = or_(Gateway.pid_host.is_(None), Gateway.pid_host == host(), ~there)
    due = or_(and_(Gateway.wanted, Gateway.removed_at.is_(None)), Gateway.is_to_be_ended())
    return _unheld(due, here, ~taken)


def to_join(session: Session, addresses: Collection[str]) -> dict[str, list[int]]:
    """Wanted gateways that nobody holds at these addresses, which the asker holds already."""
    return _by_address(session, *_to_join(list(addresses)))


@prepared
def _to_join(addresses: Sequence[str]) -> Select[str, int]:
    return _unheld(among(Gateway.address, addresses), Gateway.wanted, Gateway.removed_at.is_(None))


def _unheld(*which: ColumnExpressionArgument[bool]) -> Select[str, int]:
    free = or_(Gateway.held_until.is_(None), Gateway.held_until <= func.clock_timestamp())
    return select(Gateway.address, Gateway.id).where(*which, free, ~_ends_there()).order_by(Gateway.id)


def _by_address(session: Session, query: Select[str, int], values: dict[str, Any]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for address, id in session.execute(query, values):
        found.setdefault(address, []).append(id)
    return found


def _ends_there() -> ColumnElement[bool]:
    """The condition for one on whose port a process runs whose gateway was removed: it is ended first."""
    before = aliased(Gateway)
    removed = (before.managed, before.pid.is_not(None), before.removed_at.is_not(None))
    return exists().where(before.address == Gateway.address, before.id != Gateway.id, *removed)
