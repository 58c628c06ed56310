"""A task as a run of a gateway: claimed before it is sent, begun when the gateway has it, heard of, stopped.

A part of `Task`, in a file of its own. A plugin's task has no run.
"""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from models.gateway_request import STOP_WITHIN, GatewayRequest, Verb
from models.processed_run import ProcessedRun
from models.task_status import RUNNING, TaskStatus

# No sooner: a gateway tries a model again and again by itself, without a word.
SILENT = timedelta(minutes=5)
# All that speak at a time, by ascending id. Once a second for each gateway, so it is written out.
HEARD = text(
    "WITH held AS (SELECT id, heard_at IS NULL OR why IS NOT NULL AS is_news FROM tasks"
    " WHERE id = ANY(CAST(:ids AS bigint[])) AND status = ANY(CAST(:running AS text[])) ORDER BY id FOR NO KEY UPDATE)"
    " UPDATE tasks SET heard_at = :now, why = NULL FROM held WHERE tasks.id = held.id"
    " RETURNING tasks.id, tasks.topic_id, held.is_news"
)
SAYS_NOTHING = "The gateway has said nothing of this for five minutes. It may still come; or stop it and run it again."


class IsARun:
    """The run of one task. Expects the columns and verbs of `Task`."""

    id: Any
    status: Any
    why: Any
    until: Any
    suspended_for: Any
    generation: Any
    advance_due_at: Any
    sends: Any
    sent_at: Any
    run_id: Any
    gateway_id: Any
    gateway_agent_id: Any
    session_key: Any
    claimed_epoch: Any
    claimed_at: Any
    heard_at: Any
    partial: Any
    tools: Any

    @property
    def as_sent(self: Any) -> str:
        """What its agent reads: the person's text unchanged, at most one marked block before it."""
        return f"{self.preface}{self.content}" if self.preface else str(self.content)

    def claim(
        self: Any,
        session: Session,
        gateway_id: int,
        gateway_agent_id: str,
        session_key: str,
        epoch: int,
        now: datetime,
        words: str,
    ) -> None:
        """Takes it for sending. Its run id, a UUID, is what the gateway knows it by: committed before it is sent."""
        self.status, self.why, self.until, self.suspended_for = (TaskStatus.CLAIMED, None, None, None)
        self.generation = self.run_id = str(uuid.uuid4())
        self.gateway_id, self.gateway_agent_id, self.session_key = (gateway_id, gateway_agent_id, session_key)
        self.claimed_epoch, self.claimed_at, self.advance_due_at = epoch, now, None
        self.partial = self.tools = self.sent_at = self.heard_at = None
        self.sends += 1
        self.note(session, "claimed", words, "hub")
        self.changed(session)

    def begun(self: Any, session: Session, words: str, now: datetime) -> bool:
        """The gateway has it. False, and nothing changes, when it was begun or ended meanwhile."""
        if self.status != TaskStatus.CLAIMED:
            return False
        self.status, self.why, self.sent_at = TaskStatus.DELEGATED, None, now
        self.note(session, "sent", words, "hub")
        self.changed(session)
        return True

    def adopt(self: Any, session: Session, run_id: str, words: str) -> None:
        """The gateway goes on with it under another run id; what ends under the earlier one is of no account."""
        if self.gateway_id is not None and self.run_id is not None:
            ProcessedRun.claim(session, self.gateway_id, self.run_id, "superseded")
        self.run_id = run_id[:200]
        self.note(session, "resumed", words, "hub")
        self.changed(session)

    @classmethod
    def heard(cls: Any, session: Session, ids: Collection[int], now: datetime) -> None:
        """A sign of life of their runs; the first one, and the first after a silence, change what is said of a task."""
        if not ids:
            return
        heard = session.execute(HEARD, {"ids": list(ids), "running": list(RUNNING), "now": now})
        for task in heard.all():
            if task.is_news:
                cls._settle(session, task.id, task.topic_id)

    @classmethod
    def say_silent(cls: Any, session: Session, now: datetime) -> int:
        """Says of runs without a sign of life for five minutes that they are silent; says how many.

        Silence is normal for minutes: nothing is ended by it, a person decides.
        """
        last = func.greatest(cls.sent_at, cls.heard_at)
        silent = (cls.status == TaskStatus.DELEGATED, cls.run_id.is_not(None), cls.why.is_(None), last < now - SILENT)
        ids = session.scalars(select(cls.id).where(*silent))
        tasks = [task for task in cls.locked(session, ids) if task.status == TaskStatus.DELEGATED]
        for task in tasks:
            task.why = SAYS_NOTHING
            task.note(session, "silent", SAYS_NOTHING, "hub")
            task.changed(session)
        return len(tasks)

    def stop_run(self: Any, session: Session) -> None:
        """Asks the gateway to stop what it does for this task; for one that is being ended by somebody here."""
        if self.status not in RUNNING or self.run_id is None or self.gateway_id is None:
            return
        now = session.scalar(func.now())
        GatewayRequest.ask(
            session,
            Verb.ABORT,
            self.gateway_id,
            None,
            now,
            STOP_WITHIN,
            task_id=self.id,
            run_id=self.run_id,
            session_key=self.session_key,
        )

    def forget_run(self: Any, session: Session) -> None:
        """It is tried anew: an answer to the earlier run is refused from now on."""
        if self.gateway_id is not None and self.run_id is not None:
            ProcessedRun.claim(session, self.gateway_id, self.run_id, "superseded")
        self.run_id = self.gateway_id = self.gateway_agent_id = self.session_key = None
        self.claimed_epoch = self.claimed_at = self.heard_at = self.partial = self.tools = None
