"""Who speaks when: one run a session, what a second message does, what a key is remembered for, what is resumed."""

import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from webapp.playground.gateway import plans
from webapp.playground.gateway.approvals import Approvals
from webapp.playground.gateway.house import House, Listener
from webapp.playground.gateway.ledger import Entry, Sent
from webapp.playground.gateway.refusals import Refused, invalid
from webapp.playground.gateway.runs import Run
from webapp.playground.gateway.sessions import Session, spoken
from webapp.playground.gateway.voice import Voice

REMEMBERED, REMEMBERED_FOR = 1000, 300.0
CONFLICT = (
    "This message ID was already used for different input. Check the conversation history and use a new message ID "
    "to send again."
)
AGAIN = "\N{WARNING SIGN}\ufe0f Agent failed before reply: {}"
STATUSES = {"running": "in_flight", "aborted": "timeout", "error": "error"}
# What a gateway tells its agent, as a user's line, before it goes on with a run that a crash interrupted.
INTERRUPTED = "[System] Your previous turn was interrupted by a gateway restart. Continue from the existing transcript."
RECOVERY = {"kind": "internal_system", "sourceTool": "main_session_restart_recovery"}


@dataclass
class Waiting:
    """A message that will have a turn of its own, or one together with others."""

    entry: Entry
    collect: bool = False
    asker: Listener | None = None


@dataclass
class Key:
    """What is remembered of an idempotency key."""

    session_key: str
    message: str
    entry: Entry
    at: float = field(default_factory=time.monotonic)


class Turns:
    """All runs of one life of the gateway."""

    def __init__(self, house: House, approvals: Approvals) -> None:
        self.active: dict[str, Run] = {}  # by session key
        self.waiting: dict[str, list[Waiting]] = {}
        self._house = house
        self._approvals = approvals
        self._keys: OrderedDict[str, Key] = OrderedDict()
        self._line: deque[Run] = deque()  # more than may run at once
        self._running: set[Run] = set()
        self._followers: dict[str, list[Callable[[], None]]] = {}

    @property
    def waiting_any(self) -> bool:
        """Somebody waits for a turn."""
        return any(self.waiting.values())

    def send(
        self, key: str, message: str, idempotency_key: str, mode: str, asker: Listener, literal: bool = False
    ) -> dict[str, Any]:
        """`chat.send` with a canonical key; the payload of its response. Nothing is said before it has been sent.

        `literal`: a command in the message is not for the gateway.
        """
        try:
            answer = self._send(key, message, idempotency_key, mode, asker, literal)
        except Refused as refused:
            self._note(key, message, idempotency_key, asker, refused.message)
            raise
        self._note(key, message, idempotency_key, asker, answer["status"])
        return answer

    def job(self, key: str, message: str, provenance: dict[str, Any]) -> Entry:
        """A turn nobody in the room asked for."""
        entry = self._entry(key, "job", str(uuid.uuid4()), message)
        session = self._house.session(key)
        # A real gateway writes the prompt of a job down as an assistant's line.
        line = session.hear(message, entry.run_id, provenance)
        line["role"] = "assistant"
        entry.begun = True
        self._house.line(session, line)
        self.follow(session, entry)
        return entry

    def inject(self, key: str, message: str, label: str | None) -> str:
        """A line put into the transcript as the assistant's; its id."""
        session = self._house.session(key)
        text = f"[{label}]\n\n{message}" if label else message
        line = session.say(text, None, model="gateway-injected", provider="openclaw")
        id: str = line["__openclaw"]["id"]
        entry = self._entry(key, "inject", f"inject-{id}", message)
        entry.end("final", text)
        self._say_at_once(session, entry, text, 0)
        self._house.line(session, line)
        return id

    def abort(self, key: str, run_id: str | None, reason: str = "rpc") -> list[str]:
        """Stop a run, or whatever runs in the session; the ids of those that were stopped."""
        run = self.active.get(key)
        if run is None or run_id not in (None, run.entry.run_id):
            return []
        run.abort(reason)
        return [run.entry.run_id]

    def when_ended(self, run_id: str, call: Callable[[], None]) -> None:
        """Call it once the run has ended."""
        self._followers.setdefault(run_id, []).append(call)

    def lose_all(self) -> None:
        """The gateway dies in the middle of it all."""
        for run in [*self._running, *self._line]:
            run.lose()
        self._house.notify()

    def resume(self, queued: dict[str, list[Waiting]]) -> None:
        """Take up what a crash interrupted, under new run ids, and what waited behind it."""
        for key, waiting in queued.items():
            self.waiting.setdefault(key, []).extend(waiting)
        runs = [entry for entry in self._house.ledger.runs if entry.state == "lost" and entry.into is None]
        for lost in [entry for entry in runs if entry.begun or entry.source != "send"]:
            entry = self._entry(lost.session_key, "resumed", str(uuid.uuid4()), lost.message, lost.idempotency_key)
            lost.into, entry.begun = entry.run_id, lost.begun
            session = self._house.session(lost.session_key)
            if lost.begun:
                self._house.line(session, session.hear(INTERRUPTED, entry.run_id, RECOVERY))
            self.follow(session, entry)
        for key in [key for key in self.waiting if key not in self.active]:
            self._take_next(key)

    def _send(
        self, key: str, message: str, idempotency_key: str, mode: str, asker: Listener, literal: bool
    ) -> dict[str, Any]:
        known = self._known(idempotency_key)
        if known is not None:
            return self._again(known, key, message)
        session = self._house.session(key)
        entry = self._entry(key, "send", idempotency_key, message, idempotency_key)
        self._remember(Key(key, message, entry))
        answer: dict[str, Any] = {"runId": idempotency_key, "status": "started"}
        active = self.active.get(key)
        if not literal and message.strip().lower() in ("/status", "/help", "/new"):
            self._house.clock.after(0, lambda: self._command(session, entry))
        elif active is None:
            self._begin(session, entry, asker)
        elif mode == "interrupt":
            active.abort("aborted")
            self._begin(session, entry, asker)
            answer["interruptedActiveRun"] = True
        elif mode == "steer" and active.streaming:
            active.steer(entry, message)
        else:
            self.waiting.setdefault(key, []).append(Waiting(entry, mode == "collect", asker))
            entry.end("queued", spoken=False)
            self._house.clock.after(0, Voice(self._house, session, entry).absorbed)
        return answer

    def _again(self, known: Key, key: str, message: str) -> dict[str, Any]:
        same = (known.session_key, known.message) == (key, message)
        if not same and self._house.settings.protocol > 3:
            raise invalid(CONFLICT, reason="chat-request-conflict")
        status = STATUSES.get(known.entry.state, "ok")
        if status == "error":
            raise Refused("UNAVAILABLE", AGAIN.format(known.entry.error))
        answer = {"runId": known.entry.run_id, "status": status}
        return {**answer, "summary": known.entry.state} if status == "timeout" else answer

    def _command(self, session: Session, entry: Entry) -> None:
        word = entry.message.strip().lower()
        if word == "/new":
            session.reset()
        texts = {"/new": "New session started.", "/help": plans.HELP}
        text = texts.get(word, "The playground gateway, at your service.")
        entry.end("final", text)
        self._say_at_once(session, entry, text, 1)
        self._ended(entry)

    def _say_at_once(self, session: Session, entry: Entry, text: str, seq: int) -> None:
        payload: dict[str, Any] = {"runId": entry.run_id, "sessionKey": session.key}
        if self._house.settings.protocol > 3:
            payload["agentId"] = session.agent_id
        message = {**spoken(text), "stopReason": "stop", "provider": "openclaw", "model": "gateway-injected"}
        entry.heard = self._house.tell("chat", {**payload, "seq": seq, "state": "final", "message": message})
        self._house.notify()

    def follow(self, session: Session, entry: Entry) -> None:
        """Begin it as soon as the session is free."""
        if session.key in self.active:
            self.waiting.setdefault(session.key, []).append(Waiting(entry))
        else:
            self._begin(session, entry)

    def _begin(self, session: Session, entry: Entry, asker: Listener | None = None) -> None:
        run = Run(self._house, session, entry, self._approvals, self, asker)
        self.active[session.key] = run
        if len(self._running) >= self._house.settings.max_concurrent:
            self._line.append(run)
        else:
            self._running.add(run)
            self._house.clock.after(0, run.begin)

    def over(self, run: Run) -> None:
        """A run has ended; the next of its session may begin."""
        self._running.discard(run)
        if run in self._line:
            self._line.remove(run)
        self._ended(run.entry)
        if self._line and len(self._running) < self._house.settings.max_concurrent:
            following = self._line.popleft()
            self._running.add(following)
            self._house.clock.after(0, following.begin)
        if self.active.get(run.session.key) is run:
            del self.active[run.session.key]
            self._house.clock.after(0, lambda: self._take_next(run.session.key))

    def _take_next(self, key: str) -> None:
        queue = self.waiting.get(key, [])
        if not queue or key in self.active:
            return
        session = self._house.session(key)
        first = queue.pop(0)
        if first.entry.state == "running":  # a job or a resumed run: its own id, its line is written
            self._begin(session, first.entry)
            return
        together = [first]
        while first.collect and queue and queue[0].collect:
            together.append(queue.pop(0))
        message, sent_key = first.entry.message, first.entry.idempotency_key
        if first.collect:
            numbered = (f"Queued #{n}\n{each.entry.message}" for n, each in enumerate(together, 1))
            message, sent_key = "\n\n".join(numbered), f"collect-{uuid.uuid4()}"
        entry = self._entry(key, "queued", str(uuid.uuid4()), message, sent_key)
        for each in together:
            each.entry.into = entry.run_id
        self._begin(session, entry, first.asker)

    def _entry(self, key: str, source: str, run_id: str, message: str, sent_key: str | None = None) -> Entry:
        agent_id = self._house.session(key).agent_id
        entry = Entry(run_id, key, agent_id, source, sent_key, message)
        return self._house.ledger.begin(entry)

    def _ended(self, entry: Entry) -> None:
        for call in self._followers.pop(entry.run_id, []):
            call()
        self._house.notify()

    def _known(self, idempotency_key: str) -> Key | None:
        known = self._keys.get(idempotency_key)
        return known if known and time.monotonic() - known.at < REMEMBERED_FOR else None

    def _remember(self, key: Key) -> None:
        self._keys[key.entry.run_id] = key
        self._keys.move_to_end(key.entry.run_id)
        while len(self._keys) > REMEMBERED:
            self._keys.popitem(last=False)

    def _note(self, key: str, message: str, idempotency_key: str, asker: Listener, answer: str) -> None:
        self._house.ledger.sends.append(Sent(key, idempotency_key, message, asker.id, answer))
        self._house.notify()
