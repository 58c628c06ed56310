"""A gateway is removed: what is lost is said first, then it is done.

Its agents are removed with it: an agent behind a gateway is nothing without it, and a new gateway is another one. Their
open work is cancelled and says by whom; what they said stays; topics stay, and ask for another agent.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from models import agent_removal, gateway_changes
from models.agent import Agent
from models.broadcast import broadcast
from models.chat_session import ChatSession, ChatState
from models.gateway import Gateway
from models.gateway_states import Happening
from models.task import Task
from models.topic import Topic
from models.tray_item import TrayItem, TrayRoute
from models.user import User

WHY = "{by} removed the gateway {gateway}."


class Loss(NamedTuple):
    """What ends with a gateway. `agents` by name; the rest are counts."""

    agents: list[str]
    open_tasks: int
    topics: int
    chats: int
    routes: int
    tray: int


def loss(session: Session, gateway: Gateway) -> Loss:
    """What would be lost if it were removed now."""
    agents = session.execute(
        select(Agent.id, Agent.handle).where(Agent.gateway_id == gateway.id, Agent.removed_at.is_(None))
    ).all()
    ids = [row.id for row in agents]
    tasks = select(func.count()).where(Task.agent_id.in_(ids), Task.finished_at.is_(None))
    loses = (Topic.primary_agent_id.in_(ids), Topic.archived_at.is_(None), Topic.chat_id.is_(None))
    topics = select(func.count()).where(*loses)
    chats = select(func.count()).where(ChatSession.agent_id.in_(ids), ChatSession.state != ChatState.DELETED)
    routes = select(func.count()).where(TrayRoute.gateway_id == gateway.id)
    tray = select(func.count()).where(TrayItem.gateway_id == gateway.id, TrayItem.ended_at.is_(None))
    return Loss(
        sorted(row.handle for row in agents),
        *(session.scalar(count) or 0 for count in (tasks, topics, chats, routes, tray)),
    )


def remove(session: Session, id: int, by: User | None, now: datetime) -> Gateway:
    """Removes it, its secrets, its agents and their open work. Raises NotFound.

    Locks gateway, topics, agents, tasks; what waited behind the tasks is advanced after the commit.
    """
    gateway = gateway_changes.locked(session, id)
    why = WHY.format(by=gateway_changes.NOBODY if by is None else by.name, gateway=gateway.name)
    agent_ids = list(session.scalars(select(Agent.id).where(Agent.gateway_id == id, Agent.removed_at.is_(None))))
    agent_removal.cancel_work(session, agent_ids, why, now, ChatSession.agent_id.in_(agent_ids))
    for agent in Agent.locked(session, *agent_ids):
        agent.removed_at = now
        broadcast(session, "hub", "agents", agent=agent.id)
    agent_removal.close_approvals(session, agent_ids)
    session.execute(delete(TrayRoute).where(TrayRoute.gateway_id == id))
    gateway.token = gateway.device_key = gateway.device_token = gateway.env = None
    gateway.wanted, gateway.removed_at = False, now
    gateway.happened(session, Happening.UNWANTED, now, why, actor=gateway_changes.NOBODY if by is None else by.name)
    return gateway
