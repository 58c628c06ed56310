"""The text so far of an answer that is being given: what another process, or a page opened in mid-stream, reads.

A passing thing in an unlogged table: after a crash of the database it is empty, and the gateway's history has the text.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String, Text, delete, func
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Time
from models.broadcast import broadcast


class RunningAnswer(Base):
    """One run under way. `tools` is what the agent did meanwhile, as plain lines; `revision` counts its changes."""

    __tablename__ = "running_answers"
    __table_args__ = {"prefixes": ["UNLOGGED"]}

    gateway_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    run_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    task_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    topic_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    agent_id: Mapped[int | None] = mapped_column(BigInteger)
    text: Mapped[str] = mapped_column(Text)
    tools: Mapped[list[Any]] = mapped_column(JSONB, default=list)
    revision: Mapped[int] = mapped_column(BigInteger, default=1)
    started_at: Mapped[Born]
    updated_at: Mapped[Time]

    @classmethod
    def put(
        cls,
        session: Session,
        gateway_id: int,
        run_id: str,
        text: str,
        tools: list[Any],
        now: datetime,
        *,
        task_id: int | None,
        topic_id: int | None,
        agent_id: int | None,
        revision: int = 1,
    ) -> int:
        """Stores the latest text and nudges other processes. To be called once a second at most.

        Answers the revision it is stored under: the one given, or one more than the last where that is not less. Who
        takes a run over counts on from there, so that a page never takes an older text for a newer one.
        """
        values = {"task_id": task_id, "topic_id": topic_id, "agent_id": agent_id}
        new = insert(cls).values(
            gateway_id=gateway_id,
            run_id=run_id[:200],
            text=text,
            tools=tools,
            updated_at=now,
            revision=revision,
            **values,
        )
        counted = func.greatest(cls.revision + 1, new.excluded.revision)
        latest = {"text": text, "tools": tools, "updated_at": now, "revision": counted, **values}
        stored = new.on_conflict_do_update(index_elements=["gateway_id", "run_id"], set_=latest)
        stored_as: int = session.execute(stored.returning(cls.revision)).scalar_one()
        if topic_id is not None:
            broadcast(session, f"topic:{topic_id}", "answer", gateway=gateway_id, run=run_id[:200], revision=stored_as)
        return stored_as

    @classmethod
    def end(cls, session: Session, gateway_id: int, run_id: str) -> None:
        """The run is over: its message says the rest. Who follows its topic hears of a row that is gone."""
        ended = delete(cls).where(cls.gateway_id == gateway_id, cls.run_id == run_id[:200]).returning(cls.topic_id)
        for topic_id in session.execute(ended).scalars():
            if topic_id is not None:
                broadcast(session, f"topic:{topic_id}", "answer", gateway=gateway_id, run=run_id[:200], revision=0)

    @classmethod
    def forget_stale(cls, session: Session, now: datetime, ttl_seconds: float) -> int:
        """Deletes what never finished; says how many."""
        over = cls.updated_at < now - func.make_interval(0, 0, 0, 0, 0, 0, ttl_seconds)
        return session.execute(delete(cls).where(over)).rowcount  # type: ignore[attr-defined]
