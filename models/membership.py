"""Who belongs to this hub and as what: what a change of role, or the end of an account, means beyond the own row."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from models import agent_removal, chatting
from models.access_token import AccessToken
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.broadcast import broadcast
from models.chat_session import ChatSession
from models.creative import Creative, CreativeShare
from models.errors import Invalid, WrongState
from models.one_time_link import OneTimeLink
from models.task import Task
from models.user import Role, User

WHY = "{person} is no longer here."


class Loss(NamedTuple):
    """What ends, or is left without its owner, when a person is removed: how many of each."""

    agents: int
    open_tasks: int
    approvals: int
    chats: int
    tokens: int
    creatives: int


def change_role(session: Session, user: User, role: str) -> None:
    """Gives the person another role. Raises Invalid (role), or WrongState for the only admin."""
    if role not in list(Role):
        raise Invalid(role=f"Choose one of the roles {', '.join(Role)}.")
    if role != Role.ADMIN:
        _keep_an_admin(session, user)
    if user.role == Role.ADMIN != role:  # who may no longer invite has not invited either
        OneTimeLink.end_open(session, user.id)
    user.role = role
    broadcast(session, user.stream, "rights")


def loss(session: Session, user: User, now: datetime) -> Loss:
    """What would be lost if the person were removed now."""
    mine = session.scalars(select(Agent.id).where(Agent.owner_id == user.id, Agent.removed_at.is_(None))).all()
    tasks = select(func.count()).where(Task.agent_id.in_(mine), Task.finished_at.is_(None))
    creatives = select(func.count()).where(Creative.owner_id == user.id, Creative.is_inbox.is_(False))
    valid = [token for token in AccessToken.of(session, user) if token.is_valid(now)]
    counted = (tasks, agent_removal.open_approvals(mine))
    open_tasks, approvals = (session.scalar(query) or 0 for query in counted)
    chats = len(chatting.living(session, ChatSession.user_id == user.id))
    return Loss(len(mine), open_tasks, approvals, chats, len(valid), session.scalar(creatives) or 0)


def remove(session: Session, user: User, now: datetime) -> None:
    """Ends an account: its rights, tokens, links and cookies, its agents, whose open work is cancelled, and its chats.

    What the person said stays, and what they own stays for those it is shared with. Raises WrongState for the only
    admin. What waited behind the work is advanced after the commit.
    """
    _keep_an_admin(session, user)
    mine = session.scalars(select(Agent.id).where(Agent.owner_id == user.id, Agent.removed_at.is_(None))).all()
    chats = or_(ChatSession.user_id == user.id, ChatSession.agent_id.in_(mine))
    agent_removal.cancel_work(session, mine, WHY.format(person=user.name), now, chats)
    for agent in session.scalars(select(Agent).where(Agent.id.in_(mine)).order_by(Agent.id)):  # locked above
        session.execute(delete(AgentSubscription).where(AgentSubscription.agent_id == agent.id))
        agent.leave(session, None, now)
        agent.removed_at = now
    agent_removal.close_approvals(session, mine)
    OneTimeLink.end_open(session, user.id)
    session.execute(delete(CreativeShare).where(CreativeShare.user_id == user.id))
    tokens = (AccessToken.user_id == user.id, AccessToken.revoked_at.is_(None))
    session.execute(update(AccessToken).where(*tokens).values(revoked_at=now))
    user.remove(now)
    broadcast(session, user.stream, "rights")
    session.flush()


def _keep_an_admin(session: Session, user: User) -> None:
    """Under the locks of all admins, so that two cannot make each other the last."""
    admins = select(User.id).where(User.role == Role.ADMIN, User.removed_at.is_(None)).order_by(User.id)
    if list(session.scalars(admins.with_for_update(key_share=True))) == [user.id]:
        raise WrongState(f"{user.name} is the only admin here. Make somebody else an admin first.")
