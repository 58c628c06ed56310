"""One row a process of this hub: where it runs, when it was last heard, and what it alone knows."""

import os
import socket
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, delete, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id, Time

SEEN_WITHIN = timedelta(seconds=20)


def host() -> str:
    """This machine's name, as it is stored."""
    return socket.gethostname()[:255]


class Process(Base):
    """A web process. Subscriptions name the process whose socket they are.

    `holds`: by subject, what no other process can see (figures, its timetable), a few seconds old; never a secret.
    """

    __tablename__ = "processes"

    id: Mapped[Id]
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    started_at: Mapped[Born]
    seen_at: Mapped[Time]
    holds: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)

    @classmethod
    def start(cls, session: Session, now: datetime, id: int | None = None) -> "Process":
        """This process, as a new row; under its old `id` when the row was taken for a dead one's."""
        process = cls(host=host(), pid=os.getpid(), seen_at=now)
        if id is not None:
            process.id = id
        session.add(process)
        session.flush()
        return process

    @classmethod
    def beat(cls, session: Session, id: int, now: datetime, holds: Mapping[str, Any]) -> bool:
        """Says that the process lives, and what it holds; False when its row was taken for a dead one's."""
        beaten = update(cls).where(cls.id == id).values(seen_at=now, holds=dict(holds))
        return bool(session.execute(beaten).rowcount)  # type: ignore[attr-defined]

    @classmethod
    def stop(cls, session: Session, id: int) -> None:
        """Takes the row out: the process ends in order."""
        session.execute(delete(cls).where(cls.id == id))

    @classmethod
    def living(cls, session: Session, now: datetime) -> list["Process"]:
        """The processes heard lately."""
        return list(session.scalars(select(cls).where(cls.seen_at > now - SEEN_WITHIN).order_by(cls.id)))

    @classmethod
    def forget_dead(cls, session: Session, now: datetime) -> int:
        """Deletes the rows of processes not heard for an hour; says how many."""
        return session.execute(delete(cls).where(cls.seen_at < now - timedelta(hours=1))).rowcount  # type: ignore[attr-defined]
