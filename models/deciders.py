"""Who may see and decide what is asked: the approver who was named, and approvers by role.

A part of `PermissionRequest`, in a file of its own.
"""

from typing import Any, cast

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from models.creative import Creative, CreativeShare, Level
from models.prepared import one_of
from models.user import Role, User

FEEDBACK = (Level.FEEDBACK, Level.ADMIN)
APPROVERS = tuple(role for role in Role if role.includes(Role.APPROVER))


class HasDeciders:
    """Expects the request's `approver_id` and `topic`."""

    approver_id: Any
    topic: Any

    @classmethod
    def visible_to(cls, user: User) -> Select[Any]:
        """What the person may read: whatever is asked in topics shared with them."""
        return select(cls).where(cls._in(Creative.readable_by(user.id)))

    @classmethod
    def inbox_of(cls, user: User) -> Select[Any]:
        """What the person may decide, or could have decided."""
        return cls.inbox_by(user.id, user.is_at_least(Role.APPROVER))

    @classmethod
    def inbox_by(cls, user_id: int, decides: bool) -> Select[Any]:
        """The same by id, for a person whose role lets them decide what others are named for, or does not."""
        readable = select(cls).where(cls._in(Creative.readable_by(user_id)))
        mine = cls.approver_id == user_id
        if not decides:
            return readable.where(mine)
        shared = select(CreativeShare.creative_id).where(
            CreativeShare.user_id == user_id, one_of(CreativeShare.level, FEEDBACK)
        )
        held = select(Creative.id).where(or_(Creative.owner_id == user_id, Creative.id.in_(shared)))
        return readable.where(or_(mine, cls._in(held)))

    def may_decide(self, session: Session, user: User) -> bool:
        """Whether this person may: the named approver, or an approver by role with feedback on the topic's creative."""
        creative = session.get_one(Creative, self.topic.creative_id)
        if self.approver_id == user.id:
            return creative.allows(session, user, Level.READ)
        return user.is_at_least(Role.APPROVER) and creative.allows(session, user, Level.FEEDBACK)

    def decider_ids(self, session: Session) -> list[int]:
        """Everybody who may decide it."""
        creative = session.get_one(Creative, self.topic.creative_id)
        shared = select(CreativeShare.user_id).where(
            CreativeShare.creative_id == creative.id, CreativeShare.level.in_(FEEDBACK)
        )
        others = or_(User.id == creative.owner_id, User.id.in_(shared))
        approvers = select(User.id).where(User.removed_at.is_(None), User.role.in_(APPROVERS), others)
        return sorted({self.approver_id, *session.scalars(approvers)})

    @classmethod
    def _in(cls, creative_ids: Select[Any]) -> Any:
        # Topic is on a floor above: known here by its name only.
        topic = cast(Any, cls.topic)
        return topic.has(topic.property.mapper.class_.creative_id.in_(creative_ids))
