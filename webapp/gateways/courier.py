"""Brings work to one gateway: claims it in order, commits its run, sends it, notes that the gateway has it.

claimed is not sent: what was claimed and not noted as begun is looked for in the gateway's history before anything is
sent again, under the same key.
"""

from datetime import timedelta

import gevent
import structlog
from gevent.pool import Pool

from models import gateway_work
from models.base import database_time
from models.database import reading, repeated, transaction
from models.gateway import Holder
from models.hears_runs import Run
from models.proactive_message_buffer import BufferedRun
from models.processed_run import ProcessedRun
from models.task import Task, TaskStatus
from models.topic import Topic
from webapp.advance import advance_due_topics
from webapp.gateways import story
from webapp.gateways.inbox import Inbox
from webapp.gateways.line import Line, NotHeld, clock
from webapp.gateways.refusals import ConnectionLost, MethodRefused
from webapp.gateways.speaking import Speaking
from webapp.gateways.storing import Ended

log = structlog.get_logger("gateways")

AT_ONCE = 8
# A gateway that is busy or about to stop is asked again after this, and ever later, unless it says when.
BUSY_SECONDS, LONGEST_BUSY = 2.0, 15.0
# What was sent without an answer is looked for in the history no sooner.
SENT_FOR = timedelta(seconds=5)
# A gateway that did not tell what it has of a task is asked again no sooner.
UNTOLD_SECONDS = 5.0
# Since a connect: how long a run that the history knows and nobody speaks of may stay silent.
PATIENCE_SECONDS = 30.0
# What a key that was sent before is answered with, once its run is over.
OVER = ("ok", "timeout", "error")


class Courier:
    """The courier of one gateway of a line."""

    def __init__(self, line: Line, gateway_id: int, name: str, speaking: Speaking, inbox: Inbox) -> None:
        self.line, self.gateway_id, self.name = line, gateway_id, name
        self.speaking, self.inbox = speaking, inbox
        self._pool = Pool(AT_ONCE)
        self._sending: dict[int, float] = {}
        self._untold: dict[int, float] = {}  # by task: when its gateway did not tell what it has of it
        self._not_before = 0.0
        self._refusals = 0  # in a row
        self._alarm: gevent.Greenlet | None = None

    def stop(self) -> None:
        """Sends nothing any more; what is being sent is looked up by whoever comes next."""
        self._pool.kill(block=False)
        if self._alarm is not None:
            self._alarm.kill(block=False)

    def run(self) -> None:
        """Sends what can be sent now. Raises NotHeld, DatabaseAway."""
        if not self.line.is_open:
            return
        if (left := self._not_before - clock()) > 0:
            self._look_again_in(left)
            return
        self._look_for_untold()
        with reading() as session:
            topics = gateway_work.waiting_topics(session, self.gateway_id)
        for topic_id in topics:
            task = self._claim(topic_id)
            if task is not None:
                self._spawn(task)

    def _look_again_in(self, seconds: float) -> None:
        """Nobody else brings work when a busy gateway takes some again."""
        if self._alarm is None or self._alarm.dead:
            self._alarm = gevent.spawn_later(seconds, lambda: self.line.nudge())
            self._alarm.name = f"courier {self.name} waits"

    def after_connect(self) -> None:
        """Looks at all that is under way here: what the gateway said of it meanwhile is caught up with."""
        with reading() as session:
            tasks = gateway_work.under_way(session, [self.gateway_id])
        for task in tasks:
            if task.id not in self._sending:
                self._look_for(task)

    # -- claiming ----------------------------------------------------------------------------------------------

    @repeated
    def _claim(self, topic_id: int) -> Task | None:
        holder = Holder(self.gateway_id, self.line.epochs.get(self.gateway_id, -1), self.name)
        with transaction() as session:
            topic = Topic.locked(session, topic_id)
            if topic is None:
                return None
            task = topic.advance(session, database_time(session), holder)
            if task is None or task.status != TaskStatus.CLAIMED:
                return None
            # Known before it is sent, so that no word of it comes too early.
            self.speaking.known(str(task.run_id), self.speaking.for_task(session, task))
            return task

    def _spawn(self, task: Task) -> None:
        self._sending[task.id] = clock()
        sender = self._pool.spawn(self._send_guarded, task)
        sender.name = f"courier {self.name} {task.id}"

    def _send_guarded(self, task: Task) -> None:
        try:
            self._send(task)
        except (ConnectionLost, NotHeld) as error:
            log.info("task_not_answered", task=task.id, gateway=self.gateway_id, why=type(error).__name__)
        except Exception:
            log.exception("task_not_sent", task=task.id, gateway=self.gateway_id)
        finally:
            self._sending.pop(task.id, None)

    # -- sending -----------------------------------------------------------------------------------------------

    def _send(self, task: Task) -> None:
        connection = self.line.connection
        if connection is None or self.gateway_id not in self.line.epochs:
            raise ConnectionLost("the gateway is not connected")
        params = self.line.dialect.chat_send(str(task.session_key), task.as_sent, str(task.run_id), self.line.protocol)
        try:
            answer = connection.request("chat.send", params)
        except MethodRefused as refused:
            self._refused(task, refused)
            return
        self._refusals = 0
        if isinstance(answer, dict) and answer.get("status") in OVER:
            self._look_into(task)  # it ran before, under this key: nothing is said again
        if not self._begun(task.id, str(task.run_id)):
            connection.request("chat.abort", self.line.dialect.chat_abort(str(task.session_key), str(task.run_id)))

    @repeated
    def _begun(self, id: int, run_id: str) -> bool:
        """Notes that the gateway has it. False: somebody has cancelled it meanwhile."""
        with transaction() as session:
            self.line.check(session, self.gateway_id)
            [task] = Task.locked(session, [id])
            if task.run_id != run_id:
                return True
            task.begun(session, f"{self.name} has it.", database_time(session))
            return task.status != TaskStatus.CANCELLED

    def _refused(self, task: Task, refused: MethodRefused) -> None:
        """The gateway said no: later, if it is only busy; else the task has failed in its words."""
        log.info("task_refused", task=task.id, gateway=self.gateway_id, code=refused.code)
        self.speaking.forget(str(task.run_id))
        if refused.retryable or refused.code == "UNAVAILABLE":
            self._busy(refused.retry_after)
            self._put_back(task.id, f"{self.name} takes nothing now: {refused.message}")
            self.line.nudge()
            return
        self._fail(task, refused.message)
        advance_due_topics()

    def _busy(self, retry_after: float | None) -> None:
        if clock() >= self._not_before:  # of many that were sent at once, one counts
            self._refusals += 1
        usual = min(LONGEST_BUSY, BUSY_SECONDS * 2 ** min(self._refusals - 1, 8))
        self._not_before = clock() + (retry_after or usual)

    @repeated
    def _put_back(self, id: int, why: str) -> None:
        with transaction() as session:
            self.line.check(session, self.gateway_id)
            [task] = Task.locked(session, [id])
            if task.status == TaskStatus.CLAIMED:
                task.forget_run(session)
                task.wait(session, why)

    @repeated
    def _fail(self, task: Task, words: str) -> None:
        with transaction() as session:
            topic = Topic.locked(session, task.topic_id)
            self.line.check(session, self.gateway_id)
            run_id = str(task.run_id)
            if topic is None or not ProcessedRun.claim(session, self.gateway_id, run_id, "error", "send"):
                return
            topic.run_ended(session, task.id, Run(self.gateway_id, run_id, "error", "", words), database_time(session))

    # -- looking for what was sent -----------------------------------------------------------------------------

    def _look_for_untold(self) -> None:
        """What was sent without an answer, and what the gateway was too busy to tell of after the last connect."""
        untold = [id for id, since in self._untold.items() if clock() - since >= UNTOLD_SECONDS]
        with reading() as session:
            tasks = gateway_work.untold(session, self.gateway_id, untold, SENT_FOR)
        for task in tasks:
            if task.id not in self._sending and (task.id in untold or task.id not in self._untold):
                self._look_for(task)

    def _look_for(self, task: Task) -> None:
        """One task that may or may not have reached the gateway, or was answered while nobody listened."""
        run_id, protocol = str(task.run_id), self.line.protocol
        try:
            found = story.read(self.line, str(task.session_key))
        except (ConnectionLost, MethodRefused) as error:
            self._untold[task.id] = clock()
            self._say(task.id, f"{self.name} does not tell what it has of this: {error}")
            return
        if self._untold.pop(task.id, None) is not None:
            self._say(task.id, None)
        with reading() as session:
            self.speaking.known(run_id, self.speaking.for_task(session, task))
        place = story.question(found, run_id, task.as_sent, task.claimed_at, protocol)
        flight = found.in_flight
        if flight is not None and (flight[0] == run_id or (place is not None and self._is_alone(task))):
            self._begun(task.id, run_id)
            self._look_into(task)
            self._adopt_flight(task, *flight)
            return
        # Before protocol 4 an unfinished turn is missing from the history, even its question.
        hidden = protocol < 4 and place is None and story.is_running(self.line, run_id, task.claimed_at)
        if place is None and not hidden:
            self._spawn(task)
            return
        self._begun(task.id, run_id)
        self._look_into(task)

    def _look_into(self, task: Task) -> None:
        """Answered, or still under way, or lost: the inbox asks until it knows."""
        # What it said before the connection was lost no longer speaks for it: the gateway may go on under another id.
        before = self.line.buffer.let_go(str(task.run_id))
        run = before or BufferedRun(str(task.run_id), str(task.session_key), task.gateway_agent_id, clock(), clock())
        self.inbox.look_into(Ended(run, "final", ""), PATIENCE_SECONDS)

    def _is_alone(self, task: Task) -> bool:
        """Whether nothing else of ours is under way in its session: what is in flight there goes on with it."""
        with reading() as session:
            ids = self.line.gateway_ids
            return len(gateway_work.tasks_in_session(session, ids, str(task.session_key))) == 1

    def _adopt_flight(self, task: Task, run_id: str, text: str) -> None:
        run = self.line.buffer.hear(run_id, str(task.session_key), task.gateway_agent_id, clock(), text=text)
        if run is not None:
            with reading() as session:
                self.speaking.known(run_id, self.speaking.for_task(session, task))
            self.speaking.changed(run)

    @repeated
    def _say(self, id: int, why: str | None) -> None:
        with transaction() as session:
            [task] = Task.locked(session, [id])
            self.line.check(session, self.gateway_id)
            if task.is_open and task.why != why:
                task.why = why
                task.changed(session)
