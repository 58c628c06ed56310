"""How far a person has read a topic."""

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base


class TopicRead(Base):
    """The newest message that a person has seen in a topic."""

    __tablename__ = "topic_reads"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id", ondelete="CASCADE"), primary_key=True)
    message_id: Mapped[int] = mapped_column(BigInteger)

    @classmethod
    def further(cls, session: Session, user_id: int, topic_id: int, message_id: int) -> bool:
        """Moves on to this message, never back. Says whether that was new."""
        seen = {"user_id": user_id, "topic_id": topic_id, "message_id": message_id}
        return session.execute(FURTHER, seen).first() is not None


_SEEN = insert(TopicRead.__table__)  # type: ignore[arg-type]
FURTHER = _SEEN.on_conflict_do_update(
    index_elements=["user_id", "topic_id"],
    set_={"message_id": _SEEN.excluded.message_id},
    where=TopicRead.message_id < _SEEN.excluded.message_id,
).returning(TopicRead.message_id)
