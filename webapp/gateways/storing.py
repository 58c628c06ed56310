"""The end of a run becomes rows: an answer, a message nobody asked for, an item in the tray; exactly once.

Each is one transaction under the topic's lock: it notes the run as processed, and stands or falls with the lease.
"""

from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from models import gateway_work, twins
from models.agent import Agent
from models.base import database_time
from models.database import reading, repeated, transaction
from models.hears_runs import NO_ANSWER, STOPPED, Run
from models.message import Message
from models.proactive_message_buffer import BufferedRun
from models.processed_run import ProcessedRun
from models.running_answer import RunningAnswer
from models.task import Task
from models.topic import Topic
from models.tray_item import TrayItem
from webapp.advance import advance_due_topics
from webapp.gateways import story
from webapp.gateways.line import Line, NotHeld
from webapp.gateways.speaking import Speaking
from webapp.gateways.wire import Said

log = structlog.get_logger("gateways")

GOES_ON = "The gateway goes on with it under another run."


@dataclass(frozen=True)
class Ended:
    """A run that has ended: final, error or aborted. `text` is all that was said, `why` the gateway's own words."""

    run: BufferedRun
    state: str
    text: str
    why: str | None = None
    stop_reason: str | None = None

    @property
    def run_id(self) -> str:
        """Its run."""
        return self.run.run_id

    @property
    def session_key(self) -> str:
        """Its session."""
        return self.run.session_key

    @property
    def size(self) -> int:
        """Bytes, about."""
        return len(self.text) + len(self.run_id) + len(self.session_key)


class Storing:
    """Writes what has ended on one line."""

    no_answer = NO_ANSWER

    def __init__(self, line: Line, speaking: Speaking) -> None:
        self.line, self.speaking = line, speaking

    def task_of(self, ended: Ended) -> Task | None:
        """The task of this very run, if it is one of ours."""
        with reading() as session:
            return gateway_work.task_of_run(session, self.line.gateway_ids, ended.run_id)

    def is_doubtful(self, ended: Ended, task_id: int | None) -> bool:
        """Whether it has to be asked who asked for this: every run but those we sent ourselves."""
        return task_id is None and ended.text.strip() not in story.SILENCES

    def store(self, ended: Ended, asked: Said | None) -> str | None:
        """Stores it; the reason why its text is not whole, None when it is, or when it was stored before.

        `asked` is what stands before it in the session, where that was looked up. Raises NotHeld, DatabaseAway.
        """
        cut = self._store(ended, asked)
        advance_due_topics()
        return cut

    @repeated
    def _store(self, ended: Ended, asked: Said | None) -> str | None:
        if not self.line.gateway_ids:
            raise NotHeld(self.line.address)
        with transaction() as session:
            task = gateway_work.task_of_run(session, self.line.gateway_ids, ended.run_id)
            if task is None:
                task = self._continued(session, ended, asked)
            if task is not None:
                return self._answer(session, task, ended)
            return self._unasked(session, ended, asked)

    def _continued(self, session: Session, ended: Ended, asked: Said | None) -> Task | None:
        """The task that this run answers though it has another id: the gateway goes on with it by itself."""
        task = self.speaking.goes_on(session, ended.run)
        if task is None or ended.text.strip() in story.SILENCES:
            return None
        if asked is None and self.line.protocol >= 4:
            return None  # that gateway can tell: what it does not call ours is not taken for it
        if asked is not None:
            own = asked.idempotency_key == task.run_id if asked.idempotency_key else None
            own = story.is_digest_of(asked, task.as_sent, task.claimed_at) or own
            if own is False or story.is_job(asked):
                return None
            if own is None and asked.text.strip() != task.content.strip() and self.line.protocol < 4:
                return None
        return task

    def _answer(self, session: Session, task: Task, ended: Ended) -> str | None:
        topic = Topic.locked(session, task.topic_id)
        gateway_id = task.gateway_id or self.line.gateway_ids[0]
        self.line.check(session, gateway_id)
        if topic is None or not ProcessedRun.claim(session, gateway_id, ended.run_id, ended.state, "send"):
            self.line.buffer.figures.duplicates += 1
            RunningAnswer.end(session, gateway_id, ended.run_id)
            return None
        [task] = Task.locked(session, [task.id])
        if task.run_id != ended.run_id[:200]:
            if not task.is_open:
                return None
            RunningAnswer.end(session, gateway_id, str(task.run_id))
            self.speaking.forget(str(task.run_id))
            task.adopt(session, ended.run_id, GOES_ON)
        if ended.run.tools:
            task.tools = list(ended.run.tools)
        why = ended.why if ended.state != "aborted" else None
        run = Run(gateway_id, ended.run_id, ended.state, ended.text, why)
        message = topic.run_ended(session, task.id, run, database_time(session))
        ProcessedRun.link(session, gateway_id, ended.run_id, message.id if message else None, task.id)
        RunningAnswer.end(session, gateway_id, ended.run_id)
        return message.cut if message is not None else task.why

    def _unasked(self, session: Session, ended: Ended, asked: Said | None) -> str | None:
        ids = self.line.gateway_ids
        if ended.text.strip() in story.SILENCES:
            if ended.text.strip():
                self.line.buffer.figures.heartbeats += 1
            self._forget(session, ended)
            return None
        cut = None if ended.state == "final" else ended.why or (STOPPED if ended.state == "aborted" else NO_ANSWER)
        place = gateway_work.place_of(session, ids, ended.session_key)
        if not isinstance(place, str):
            topic = Topic.locked(session, place.topic_id)
            place = gateway_work.place_of(session, ids, ended.session_key)
        ours = asked is not None and bool(asked.idempotency_key) and self._is_ours(session, asked)
        origin = story.origin_of(ended.run_id, ended.session_key, asked, ours)
        gateway_id = ids[0] if isinstance(place, str) else place.gateway_id
        self.line.check(session, gateway_id)
        told = ours and asked is not None and self.is_told(session, asked, ended.text)
        told = told or twins.tells(session, ids, ended.session_key, ended.run_id, place)
        if not ProcessedRun.claim(session, gateway_id, ended.run_id, ended.state, origin) or told:
            self.line.buffer.figures.duplicates += 1
            self._forget(session, ended)
            return None
        if isinstance(place, str) or topic is None:
            why = place if isinstance(place, str) else "Its topic is gone."
            words = f"{ended.text}\n\n[{cut}]" if cut else ended.text
            TrayItem.put(session, gateway_id, ended.session_key, ended.run_id, words, origin, why)
            return cut
        run = Run(gateway_id, ended.run_id, ended.state, ended.text, ended.why)
        message = topic.said_unasked(session, session.get_one(Agent, place.agent_id), run, origin, cut)
        ProcessedRun.link(session, gateway_id, ended.run_id, message.id, None)
        RunningAnswer.end(session, gateway_id, ended.run_id)
        return message.cut

    def _is_ours(self, session: Session, asked: Said) -> bool:
        key = str(asked.idempotency_key)
        if gateway_work.task_of_run(session, self.line.gateway_ids, key) is not None:
            return True
        return any(ProcessedRun.known(session, id, key) for id in self.line.gateway_ids)

    def _forget(self, session: Session, ended: Ended) -> None:
        for id in self.line.gateway_ids:
            RunningAnswer.end(session, id, ended.run_id)

    def is_told(self, session: Session, asked: Said, text: str) -> bool:
        """Whether the question of ours has this answer already: it was read in the history before its run told it."""
        task = gateway_work.task_of_run(session, self.line.gateway_ids, str(asked.idempotency_key))
        if task is None or task.reply_message_id is None:
            return False
        reply = session.get(Message, task.reply_message_id)
        return reply is not None and reply.text.strip() == text.strip()

    def is_stored(self, session: Session, run_id: str) -> bool:
        """Whether this run has ended here before."""
        return any(ProcessedRun.known(session, id, run_id) for id in self.line.gateway_ids)
