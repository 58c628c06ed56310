"""Whom a person may give work to: the agents of every creative in which that person may write."""

from sqlalchemy import Select, exists, or_, select

from models.agent import Agent
from models.creative import Creative, CreativeShare, Level
from models.user import Role, User

WRITING = (Level.FEEDBACK, Level.ADMIN)


def agents_of(user: User) -> Select[Agent]:
    """Those agents, by name: one statement. A viewer gives no work."""
    mine = select(CreativeShare.creative_id).where(CreativeShare.user_id == user.id, CreativeShare.level.in_(WRITING))
    writes = or_(Creative.owner_id == user.id, Creative.id.in_(mine))
    owners = exists().where(
        CreativeShare.creative_id == Creative.id,
        CreativeShare.user_id == Agent.owner_id,
        CreativeShare.level.in_(WRITING),
    )
    there = exists(select(Creative.id).where(writes, or_(Creative.owner_id == Agent.owner_id, owners)))
    viewers = select(User.id).where(User.role == Role.VIEWER)
    query = select(Agent).where(Agent.removed_at.is_(None), there, Agent.owner_id.not_in(viewers))
    if not user.is_at_least(Role.MEMBER):
        query = query.where(Agent.id.is_(None))
    return query.order_by(Agent.handle, Agent.id)
