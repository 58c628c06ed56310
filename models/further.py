"""The further pages of lists: what comes after a row, which is named by its id. The first pages are asked most.

By name the key of a row is its name and its id; a row that is not there any more leads to the first page.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, literal, select, true, tuple_
from sqlalchemy.orm import Session

from models import overview, seats
from models.agent import Agent
from models.chat_session import ChatSession
from models.creative import Creative
from models.user import User

Rows = Sequence[Row[*tuple[Any, ...]]]


def agents(session: Session, user_id: int, now: datetime, after: int, limit: int) -> Rows:
    """Agents the person may see, by name, as `overview.agents`."""
    found = overview.agents(now, Agent.visible_to(user_id)).where(_behind(session, Agent.handle, Agent.id, after))
    return session.execute(found.limit(limit)).all()


def creatives(session: Session, user_id: int, after: int, limit: int) -> Rows:
    """Creatives the person may read, by name, as `overview.creatives`; without the inbox, which comes first."""
    rest = (~Creative.is_inbox, _behind(session, Creative.name, Creative.id, after))
    return session.execute(overview.creatives(user_id).where(*rest).limit(limit)).all()


def people(session: Session, after: int | None, limit: int) -> list[User]:
    """Everybody who has an account, by name; the first of them without `after`."""
    found = select(User).where(User.removed_at.is_(None), _behind(session, User.name, User.id, after))
    return list(session.scalars(found.order_by(func.lower(User.name), User.id).limit(limit)))


def chats(session: Session, user_id: int, archived: bool, before: int, limit: int) -> Rows:
    """The person's chats, the last used first, as `seats.page_of_chats`."""
    at = session.scalar(select(ChatSession.last_active_at).where(ChatSession.id == before))
    found = seats.by_use(user_id, archived)
    if at is not None:
        found = found.where(tuple_(ChatSession.last_active_at, ChatSession.id) < tuple_(literal(at), literal(before)))
    return session.execute(found.limit(limit)).all()


def _behind(session: Session, name: Any, id: Any, after: int | None) -> ColumnElement[bool]:
    """The condition for what comes after a row in the order of names."""
    its_name = None if after is None else session.scalar(select(func.lower(name)).where(id == after))
    return true() if its_name is None else tuple_(func.lower(name), id) > tuple_(literal(its_name), literal(after))
