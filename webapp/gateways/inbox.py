"""What arrives from one address: steps of runs into the buffer, ends of runs into the topics, each exactly once.

`receive` is called by the reading greenlet and never waits; one greenlet takes what has ended, in its order, and gives
nothing up until it is stored.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import gevent
import structlog
from gevent.event import Event as Signal

from models.errors import DatabaseAway
from models.proactive_message_buffer import BufferedRun
from models.task import Task
from webapp.gateways import story
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.consent import Approvals
from webapp.gateways.line import Line, NotHeld, clock, fold
from webapp.gateways.refusals import ConnectionLost, MethodRefused
from webapp.gateways.speaking import Speaking
from webapp.gateways.storing import Ended, Storing
from webapp.gateways.wire import TERMINAL, ApprovalEvent, ChatEvent, Event, ToolEvent

log = structlog.get_logger("gateways")

RETRY_SECONDS = 1.0
# So much that has ended may wait for the database; what does not fit is left to the gateway's history.
MOST_WAITING, MOST_WAITING_BYTES = 5_000, 64 * 1024 * 1024
# A run of ours that ended without a word: when to ask the history, in seconds after that.
ASK_AGAIN = (0.0, 2.0, 5.0, 15.0)
# For so long it is asked who wanted what a run said: the next connection may be there by then.
UNCLEAR_SECONDS = 45.0


@dataclass
class Wordless:
    """A run of ours that ended without a word, or of which nothing is known since a reconnect."""

    ended: Ended
    since: float
    asked: int = 0
    patience: float = ASK_AGAIN[-1]

    def due_at(self) -> float:
        """When the history is asked next."""
        places = [*ASK_AGAIN, self.patience]
        return self.since + places[min(self.asked, len(places) - 1)] + max(0, self.asked - len(places) + 1) * 5.0


@dataclass
class Unclear:
    """A run that has ended, of which the gateway did not tell who asked for it: it is asked again."""

    ended: Ended
    since: float
    next_at: float


class Inbox:
    """One line's inbox."""

    def __init__(self, line: Line, speaking: Speaking, storing: Storing, approvals: Approvals) -> None:
        self.line, self.speaking, self.storing, self.approvals = (line, speaking, storing, approvals)
        self.waiting_bytes = 0
        self.last_seen_states: set[str] = set()
        self._waiting: deque[Ended | ApprovalEvent] = deque()
        self._wordless: dict[str, Wordless] = {}
        self._unclear: dict[str, Unclear] = {}
        self._left_out = False  # something did not fit
        self._there = Signal()
        self._greenlet: gevent.Greenlet | None = None

    @property
    def open_runs(self) -> int:
        """Runs under way, and those that have ended and are not stored yet."""
        return self.line.buffer.open_runs + len(self._waiting) + len(self._unclear)

    @property
    def buffered_bytes(self) -> int:
        """What is held of them."""
        return self.line.buffer.bytes + self.waiting_bytes

    def start(self) -> None:
        """Begins to store."""
        self._greenlet = gevent.spawn(self._work)
        self._greenlet.name = f"inbox {self.line.address}"

    def stop(self) -> None:
        """Ends; what was not stored yet is told by the gateway's history to whoever comes next."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    # -- hearing (never waits) ---------------------------------------------------------------------------------

    def receive(self, connection: GatewayConnection, event: Event) -> None:
        """One event of the line's connection."""
        dialect = self.line.dialect
        chat: ChatEvent | None = dialect.chat_event(event)
        if chat is not None:
            self._chat(chat)
            return
        tool: ToolEvent | None = dialect.tool_event(event)
        if tool is not None:
            self._tool(tool)
            return
        approval: ApprovalEvent | None = dialect.approval_event(event)
        if approval is not None:
            self._put_approval(approval)
        elif event.name == "heartbeat":
            self.line.buffer.figures.heartbeats += 1
        elif not getattr(dialect, "is_known", lambda event: True)(event) and event.name not in self.last_seen_states:
            self._note_once(event.name, "gateway_event_unknown")

    def _chat(self, step: ChatEvent) -> None:
        if step.state in TERMINAL:
            self._end(step)
            return
        if step.state not in ("delta", "status"):
            self.line.buffer.figures.ignored += 1
            self._note_once(step.state, "gateway_state_unknown")
            return
        run = self.line.buffer.hear(
            step.run_id,
            step.session_key,
            step.agent_id,
            clock(),
            text=step.text if step.state == "delta" else None,
            piece=step.delta_text if step.state == "delta" else None,
            replace=step.replace,
            seq=step.seq,
        )
        if run is not None:
            self.speaking.changed(run)

    def _tool(self, tool: ToolEvent) -> None:
        run = self.line.buffer.hear(tool.run_id, tool.session_key, None, clock())
        if run is not None:
            fold(run, tool)
            self.speaking.changed(run)

    def _end(self, step: ChatEvent) -> None:
        buffer, now = self.line.buffer, clock()
        if buffer.ended_lately(step.run_id, now):
            buffer.figures.duplicates += 1
            return
        if self._is_full(len(step.text or "")):
            return
        run = buffer.end(step.run_id, now) or BufferedRun(step.run_id, step.session_key, step.agent_id, now, now)
        text = step.text
        if text is None or (not text.strip() and step.state != "final"):
            text = "" if step.state == "final" else run.text
        self._put(Ended(run, step.state, text, step.error_message or None, step.stop_reason))

    def _put_approval(self, approval: ApprovalEvent) -> None:
        """What does not fit is in the gateway's list of what waits, which is read after each connect."""
        if not self._is_full(_size(approval)):
            self._put(replace(approval, raw=None))

    def _is_full(self, size: int) -> bool:
        full = len(self._waiting) >= MOST_WAITING or self.waiting_bytes + size > MOST_WAITING_BYTES
        self.line.buffer.figures.overflowed += full
        self._left_out = self._left_out or full
        return full

    def _put(self, item: Ended | ApprovalEvent) -> None:
        self._waiting.append(item)
        self.waiting_bytes += _size(item)
        self._there.set()

    def _note_once(self, name: str, what: str) -> None:
        if name not in self.last_seen_states and len(self.last_seen_states) < 100:
            self.last_seen_states.add(name)
            log.info(what, address=self.line.address, name=name[:40])

    # -- storing -----------------------------------------------------------------------------------------------

    def look_into(self, ended: Ended, patience: float) -> None:
        """A run of ours whose end was missed, maybe: the history is asked until it tells, or patience is over."""
        self._wordless.setdefault(ended.run_id, Wordless(ended, clock(), patience=patience))
        self._there.set()

    def _work(self) -> None:
        while True:
            self._there.wait(timeout=1.0)
            self._there.clear()
            while self._waiting:
                item = self._waiting[0]
                self._insist(lambda item=item: self._take(item))  # type: ignore[misc]
                self._waiting.popleft()
                self.waiting_bytes -= _size(item)
            if self._left_out:
                self._left_out = False
                self.line.missed()
            for wordless in [one for one in self._wordless.values() if clock() >= one.due_at()]:
                self._insist(lambda one=wordless: self._ask(one))  # type: ignore[misc]
            for unclear in [one for one in self._unclear.values() if clock() >= one.next_at]:
                self._insist(lambda one=unclear: self._ask_who(one))  # type: ignore[misc]

    def _insist(self, step: Callable[[], None]) -> None:
        """Until it is done, or nobody can do it any more."""
        while True:
            try:
                step()
                return
            except DatabaseAway:
                gevent.sleep(RETRY_SECONDS)
            except NotHeld:
                log.warning("gateway_not_held", address=self.line.address)
                return
            except Exception:
                log.exception("gateway_event_not_stored", address=self.line.address)
                return

    def _take(self, item: Ended | ApprovalEvent) -> None:
        if isinstance(item, ApprovalEvent):
            self.approvals.take(item)
            return
        task = self.storing.task_of(item)
        if task is None or item.state != "final" or item.text.strip():
            self._stored(item, task.id if task else None)
        elif task.is_open:
            self.look_into(item, ASK_AGAIN[-1])
        else:
            self._stored(item, task.id)

    def _stored(self, item: Ended, task_id: int | None) -> None:
        told = item.state == "final" and not item.run_id.startswith("inject-") and ":cron:" not in item.session_key
        if told and self.storing.is_doubtful(item, task_id):
            self._ask_who(Unclear(item, clock(), clock()))
        else:
            self._store(item, None)

    def _store(self, item: Ended, asked: story.Said | None) -> None:
        cut = self.storing.store(item, asked)
        self.speaking.ended(item.run_id, cut, item.text)
        self._wordless.pop(item.run_id, None)
        self.line.nudge()

    def _ask_who(self, unclear: Unclear) -> None:
        """Who wanted it. It is not guessed: another's answer would be taken for the one to our question."""
        item, asked = unclear.ended, None
        try:
            limit = 30 if clock() - unclear.since < RETRY_SECONDS else story.NEWEST
            asked = story.asked_by(story.read(self.line, item.session_key, limit), item.run_id, item.text)
        except (ConnectionLost, MethodRefused):
            if clock() - unclear.since < UNCLEAR_SECONDS:
                unclear.next_at = clock() + RETRY_SECONDS
                self._unclear[item.run_id] = unclear
                return
        self._unclear.pop(item.run_id, None)
        self._store(item, asked)

    def _ask(self, wordless: Wordless) -> None:
        """What became of a run that ended without a word."""
        ended = wordless.ended
        task = self.storing.task_of(ended)
        if task is None or not task.is_open or task.run_id != ended.run_id:
            self._wordless.pop(ended.run_id, None)  # it goes on under another id, or somebody has ended it
            return
        if not self.line.is_open:
            self._wordless.pop(ended.run_id, None)  # after the next connect all is looked at anew
            return
        alive = self.line.buffer.get(ended.run_id)
        if alive is not None and alive is not ended.run and alive.heard > wordless.since:
            self._wordless.pop(ended.run_id, None)  # it speaks
            return
        wordless.asked += 1
        try:
            found = story.read(self.line, str(task.session_key))
        except (ConnectionLost, MethodRefused) as error:
            log.info("history_not_read", address=self.line.address, error=type(error).__name__)
            return
        place = story.question(found, ended.run_id, task.as_sent, task.claimed_at, self.line.protocol)
        protocol = self.line.protocol
        answered = story.answer(found, place, ended.run_id, protocol) if place is not None else None
        if answered is not None and not found.has_active_run:
            self._wordless.pop(ended.run_id, None)
            self._stored(Ended(ended.run, "final", answered.text), task.id)
        elif self._still_works(found, task):
            wordless.since, wordless.asked = clock(), len(ASK_AGAIN) - 1
        elif clock() - wordless.since >= wordless.patience:
            self._wordless.pop(ended.run_id, None)
            said = ended.run.text
            self._stored(Ended(ended.run, "error" if said.strip() else "final", said, self.storing.no_answer), task.id)

    def _still_works(self, found: story.History, task: Task) -> bool:
        """The gateway is at it, or a person has yet to decide something for it."""
        if found.has_active_run or self.approvals.waits_for(task.id):
            return True
        return self.line.protocol < 4 and story.is_running(self.line, str(task.run_id), task.claimed_at)


def _size(item: Ended | ApprovalEvent) -> int:
    return item.size if isinstance(item, Ended) else len(item.command) + len(item.id) + len(item.session_key or "")
