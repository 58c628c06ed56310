"""One line of a task's timeline: what happened to it, and by whom."""

from datetime import datetime

from sqlalchemy import DateTime, ForeignKey, String, Text, func, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Id


class TaskEvent(Base):
    """What happened when."""

    __tablename__ = "task_events"

    id: Mapped[Id]
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    event: Mapped[str] = mapped_column(String(32))
    text: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(120))

    @classmethod
    def add(cls, session: Session, task_id: int, event: str, words: str, actor: str) -> None:
        """One more; past the objects of the session, as no task is without several."""
        session.execute(ADD, {"task_id": task_id, "event": event, "text": words, "actor": actor})


ADD = insert(TaskEvent.__table__)  # type: ignore[arg-type]
