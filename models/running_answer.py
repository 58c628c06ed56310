"""The text so far of an answer that is being given: what another process, or a page opened in mid-stream, reads.

A passing thing in an unlogged table: after a crash of the database it is empty, and the gateway's history has the text.
"""

import functools
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, String, Text, TextClause, delete, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Time
from models.broadcast import broadcast

# Each number of texts is a statement of its own, and five megabytes are enough for one.
MOST_AT_ONCE = 25
NUMBERS = ("gateway_id", "task_id", "topic_id", "agent_id", "revision")
# Once a second for each gateway that speaks, so it is written out. Each text is a parameter by itself: as parts of one
# array, signs to be quoted are looked for in every one of them.
PUT = (
    "INSERT INTO running_answers AS now_said"
    " (gateway_id, run_id, task_id, topic_id, agent_id, text, tools, revision, updated_at)"
    " SELECT said.*, :now FROM unnest(CAST(:gateway_id AS bigint[]), CAST(:run_id AS text[]),"
    " CAST(:task_id AS bigint[]), CAST(:topic_id AS bigint[]), CAST(:agent_id AS bigint[]), ARRAY[{texts}],"
    " CAST(:tools AS jsonb[]), CAST(:revision AS bigint[])) AS said"
    " ON CONFLICT (gateway_id, run_id) DO UPDATE SET task_id = excluded.task_id, topic_id = excluded.topic_id,"
    " agent_id = excluded.agent_id, text = excluded.text, tools = excluded.tools, updated_at = excluded.updated_at,"
    " revision = greatest(now_said.revision + 1, excluded.revision)"
    " RETURNING gateway_id, run_id, revision"
)

END = text("DELETE FROM running_answers WHERE gateway_id = :gateway_id AND run_id = :run_id RETURNING topic_id")


@functools.cache
def _put(many: int) -> TextClause:
    return text(PUT.format(texts=", ".join(f"CAST(:text_{place} AS text)" for place in range(many))))


class Saying(NamedTuple):
    """What one run has said so far, and what it is for. `tools` are plain lines, `revision` counts its changes."""

    gateway_id: int
    run_id: str
    task_id: int | None
    topic_id: int | None
    agent_id: int | None
    text: str
    tools: list[Any]
    revision: int = 1


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
    def put(cls, session: Session, sayings: Iterable[Saying], now: datetime) -> dict[tuple[int, str], int]:
        """Stores the latest texts, many in one statement, and nudges other processes. Once a second at most.

        Answers, by gateway and run, under which revision each is stored: the one given, or one more than the last where
        that is not less. Who takes a run over counts on from there, so that a page never takes an older text for a
        newer one.
        """
        said = sorted({(one.gateway_id, one.run_id[:200]): one for one in sayings}.items())
        stored: dict[tuple[int, str], int] = {}
        for start in range(0, len(said), MOST_AT_ONCE):
            stored |= cls._put(session, said[start : start + MOST_AT_ONCE], now)
        for (gateway_id, run_id), one in said:
            if one.topic_id is not None:
                ids = {"gateway": gateway_id, "run": run_id, "revision": stored[gateway_id, run_id]}
                broadcast(session, f"topic:{one.topic_id}", "answer", **ids)
        return stored

    @staticmethod
    def _put(
        session: Session, said: Sequence[tuple[tuple[int, str], Saying]], now: datetime
    ) -> dict[tuple[int, str], int]:
        values: dict[str, Any] = {name: [getattr(one, name) for _, one in said] for name in NUMBERS}
        values |= {"run_id": [run_id for (_, run_id), _ in said], "tools": [json.dumps(one.tools) for _, one in said]}
        values |= {f"text_{place}": one.text for place, (_, one) in enumerate(said)}
        rows = session.execute(_put(len(said)), {**values, "now": now})
        return {(row.gateway_id, row.run_id): row.revision for row in rows}

    @classmethod
    def end(cls, session: Session, gateway_id: int, run_id: str) -> None:
        """The run is over: its message says the rest. Who follows its topic hears of a row that is gone."""
        for topic_id in session.scalars(END, {"gateway_id": gateway_id, "run_id": run_id[:200]}):
            if topic_id is not None:
                broadcast(session, f"topic:{topic_id}", "answer", gateway=gateway_id, run=run_id[:200], revision=0)

    @classmethod
    def forget_stale(cls, session: Session, now: datetime, ttl_seconds: float) -> int:
        """Deletes what never finished; says how many."""
        over = cls.updated_at < now - func.make_interval(0, 0, 0, 0, 0, 0, ttl_seconds)
        return session.execute(delete(cls).where(over)).rowcount  # type: ignore[attr-defined]
