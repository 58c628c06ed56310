"""The log of activity as a person may read it: admins and operators all of it, others what they or their agents did.

From which address somebody else did it is for operators alone.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, null, or_, select
from sqlalchemy.orm import Session

from models.activity import Activity
from models.agent import Agent
from models.creative import Creative
from models.topic import Topic
from models.user import Role, User


def activity(user: User) -> Select[*tuple[Any, ...]]:
    """The lines this person may read, to be narrowed and cut by key; rows of all columns."""
    if user.is_at_least(Role.OPERATOR):
        return select(*Activity.__table__.c)
    own = select(Agent.id).where(Agent.owner_id == user.id)
    mine = case((Activity.user_id == user.id, Activity.address), else_=null()).label("address")
    shown = [mine if column.name == "address" else column for column in Activity.__table__.c]
    return select(*shown).where(or_(Activity.user_id == user.id, Activity.agent_id.in_(own)))


def topic_names(session: Session, user: User, ids: Collection[int]) -> dict[int, str]:
    """The names of those of these topics that the person may read, by id."""
    here = (Topic.id.in_(list(ids)), Topic.creative_id.in_(Creative.readable_by(user.id)))
    return {row.id: row.name for row in session.execute(select(Topic.id, Topic.name).where(*here))}


def narrowed(
    query: Select[*tuple[Any, ...]],
    kind: str | None = None,
    user_id: int | None = None,
    gateway_id: int | None = None,
    agent_id: int | None = None,
    event: str | None = None,
    before: int | None = None,
    since: datetime | None = None,
) -> Select[*tuple[Any, ...]]:
    """Only the lines that fit; `before` is an id."""
    pairs = (
        (Activity.kind, kind),
        (Activity.user_id, user_id),
        (Activity.gateway_id, gateway_id),
        (Activity.agent_id, agent_id),
        (Activity.event, event),
    )
    for column, wanted in pairs:
        if wanted is not None:
            query = query.where(column == wanted)
    if before is not None:
        query = query.where(Activity.id < before)
    return query if since is None else query.where(Activity.at >= since)
