"""What all parts of one gateway share: its settings, its state, the clock, and the way to tell who is connected."""

import pathlib
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from webapp.playground.gateway.admission import Admitted
from webapp.playground.gateway.clock import Clock
from webapp.playground.gateway.devices import Devices
from webapp.playground.gateway.ledger import Ledger
from webapp.playground.gateway.plans import Habits
from webapp.playground.gateway.sessions import Session, agent_of, canonical
from webapp.playground.gateway.wire import Wire

Seen = TypeVar("Seen")


@dataclass
class Settings:
    """How this gateway behaves; all may be changed while it runs. Seconds."""

    token: str = field(repr=False)
    protocol: int = 4  # or 3
    dialect: str = "openclaw"  # or jsonrpc
    certificate: pathlib.Path | None = None  # PEM, key and certificate: serve wss
    remote: bool = False  # treat loopback clients as if they came from elsewhere
    trust_proxy: bool = False  # take the client's address from X-Forwarded-For
    exec_mode: str = "ask"  # or full: commands need no approval
    queue_mode: str = "steer"  # what a second message does when it does not say
    max_concurrent: int = 8
    habits: Habits = field(default_factory=Habits)
    tick: float = 30.0
    health: float = 60.0
    ping: float = 25.0
    handshake: float = 15.0
    prepare: float = 0.0  # before a run says anything
    pace: float | None = None  # between two deltas of a run; None: 0.075, and 0.15 in protocol 3
    retry: float = 0.2  # before a model's broken stream is tried again
    late_error: float = 15.0  # protocol 3 tells of an error so late
    resume: float = 0.2  # after a start, before interrupted runs go on
    approval: float = 1800.0  # an approval may be given for so long
    agents_late: float = 0.0  # a new agent is listed only after this time

    @property
    def between_deltas(self) -> float:
        """The pace that holds now."""
        return self.pace if self.pace is not None else (0.075 if self.protocol > 3 else 0.15)


@dataclass
class Faults:
    """What goes wrong with `chat` events, each with a probability, and with new connections."""

    delay: tuple[float, float] = (0.0, 0.0)  # seconds at least and at most, order kept
    duplicate: float = 0.0
    drop: float = 0.0
    reorder: float = 0.0
    states: tuple[str, ...] = ("status", "delta", "final", "aborted", "error")
    cut_after: int | None = None  # so many chat events from now, all sockets are cut
    refuse: int | None = None  # new connections get this HTTP status; 0 hangs up
    untold: int = 0  # so many histories from now are not told
    location: str = "ws://169.254.169.254/"  # where a status of 300 to 399 sends them
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def fate(self, state: str) -> str:
        """What becomes of one event: '', drop, duplicate or reorder."""
        if state not in self.states:
            return ""
        drawn = self.chance.random()
        for name in ("drop", "duplicate", "reorder"):
            share = getattr(self, name)
            if drawn < share:
                return name
            drawn -= share
        return ""


class Listener(Protocol):
    """A connection that was let in."""

    id: str
    admitted: Admitted | None
    subscribed: set[str]
    wire: Wire

    def event(self, name: str, payload: Any, **beside: Any) -> bool:
        """Send it; False when it was not."""

    def cut(self) -> None:
        """End it without a goodbye."""


class House:
    """Everything is read and written under `lock`; `changed` wakes whoever waits for a condition."""

    def __init__(self, settings: Settings, agents: tuple[str, ...]) -> None:
        self.settings = settings
        self.agents = {agent.lower(): agent for agent in agents}
        self.default_agent = next(iter(self.agents))
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.ledger = Ledger()
        self.devices = Devices()
        self.sessions: dict[str, Session] = {}
        self.connections: list[Listener] = []
        self.faults = Faults()
        self.silent = False  # no ticks, no health
        self.boot_id = ""
        self.started_at = 0.0
        self.clock = Clock(self.lock)

    def boot(self) -> None:
        """A new life: what lived in memory is gone, what lay on disk is there."""
        self.clock.stop()
        self.clock = Clock(self.lock)
        self.boot_id = str(uuid.uuid4())
        self.started_at = time.monotonic()
        self.silent = False

    def wait_for(self, condition: Callable[[], Seen], seconds: float = 10.0, what: str = "a change") -> Seen:
        """Block until `condition()` is true and return its value; TimeoutError when it is late."""
        until = time.monotonic() + seconds
        with self.changed:
            while not (seen := condition()):
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"Waited {seconds:g} s for {what}. Runs: {self.ledger.runs[-5:]}")
                self.changed.wait(left)
            return seen

    def notify(self) -> None:
        """Something is different now."""
        with self.changed:
            self.changed.notify_all()

    def key(self, given: str) -> str:
        """The canonical form of a session key; Refused when it has none."""
        return canonical(given, self.agents, self.default_agent, self.settings.protocol)

    def session(self, key: str) -> Session:
        """The session of a canonical key, made when it is new."""
        agent_id = agent_of(key, self.default_agent)
        return self.sessions.setdefault(key, Session(key, agent_id))

    def tell(self, name: str, payload: Any, scope: str = "operator.read", cap: str | None = None) -> list[str]:
        """Send an event to everyone who may see it; the ids of the connections it was written to."""
        return [
            each.id
            for each in list(self.connections)
            if each.admitted is not None
            and may(each.admitted, scope)
            and (cap is None or cap in each.admitted.caps)
            and each.event(name, payload)
        ]

    def line(self, session: Session, line: dict[str, Any]) -> None:
        """Tell those who follow a transcript of a new line."""
        mark = line["__openclaw"]
        payload = {
            "sessionKey": session.key,
            "agentId": session.agent_id,
            "message": line,
            "messageId": mark["id"],
            "messageSeq": mark["seq"],
            "sessionId": session.session_id,
        }
        for each in list(self.connections):
            if session.key in each.subscribed:
                each.event("session.message", payload)


def may(admitted: Admitted, scope: str) -> bool:
    """Whether a connection may do what needs `scope`: admins may all, and who may write may read."""
    held = set(admitted.scopes)
    return scope in held or "operator.admin" in held or (scope == "operator.read" and "operator.write" in held)
