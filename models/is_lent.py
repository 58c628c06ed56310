"""Who may give work to an agent: in which creatives it may work, and who may chat with it.

A part of `Agent`, in a file of its own.
"""

from typing import Any

from sqlalchemy import and_, column, or_, select, table

from models.chat_session import ChatSession, ChatState
from models.creative import Creative, CreativeShare, Level
from models.prepared import one_of
from models.user import Role, User

# Topics stand above agents: these columns are all that is read of them here.
TOPICS = table("topics", column("id"), column("creative_id"))


class IsLent:
    """Who may use an agent. Expects the columns of `Agent`."""

    id: Any
    owner_id: Any
    removed_at: Any

    @classmethod
    def usable_in(cls: Any, creative_id: int) -> Any:
        """The agents that may work in a creative: those whose owner may give feedback there, and is no viewer."""
        rights = (Level.FEEDBACK, Level.ADMIN)
        shared = select(CreativeShare.user_id).where(
            CreativeShare.creative_id == creative_id,
            one_of(CreativeShare.level, rights),
            CreativeShare.user_id.is_not(None),
        )
        owner = select(Creative.owner_id).where(Creative.id == creative_id).scalar_subquery()
        viewers = select(User.id).where(User.role == Role.VIEWER)
        in_chats = (
            select(ChatSession.agent_id)
            .join(TOPICS, TOPICS.c.id == ChatSession.topic_id)
            .where(TOPICS.c.creative_id == creative_id, ChatSession.state != ChatState.DELETED)
        )
        lent = and_(cls.id.in_(in_chats), cls.owner_id.in_(_lenders_to(owner)))
        return (
            select(cls)
            .where(cls.removed_at.is_(None), or_(cls.owner_id == owner, cls.owner_id.in_(shared), lent))
            .where(cls.owner_id.not_in(viewers))
            .order_by(cls.id)
        )

    @classmethod
    def may_chat(cls: Any, user: User) -> Any:
        """The agents this person may open a chat with: their own, and those they may give work to anywhere."""
        viewers = select(User.id).where(User.role == Role.VIEWER)
        usable = or_(cls.owner_id == user.id, cls.owner_id.in_(_lenders_to(user.id)))
        return select(cls).where(cls.removed_at.is_(None), usable, cls.owner_id.not_in(viewers)).order_by(cls.id)


def _lenders_to(user_id: Any) -> Any:
    """The people whose agents work in some creative in which this person may give feedback."""
    rights = (one_of(CreativeShare.level, (Level.FEEDBACK, Level.ADMIN)), CreativeShare.user_id.is_not(None))
    mine = select(CreativeShare.creative_id).where(CreativeShare.user_id == user_id, *rights)
    owned = select(Creative.id).where(Creative.owner_id == user_id)
    there = or_(CreativeShare.creative_id.in_(mine), CreativeShare.creative_id.in_(owned))
    owners = select(Creative.owner_id).where(Creative.id.in_(mine))
    return owners.union_all(select(CreativeShare.user_id).where(there, *rights))
