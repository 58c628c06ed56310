"""What an agent has seen so far, and waiting for more of it: every change wakes whoever waits for a condition."""

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from webapp.playground.dispatch import Dispatch

REMEMBERED = 10_000  # of each kind, so that an agent may run for weeks
Seen = TypeVar("Seen")
Attempt = tuple[int | None, str | None]


class Standing(StrEnum):
    """How far the connection has come."""

    AWAY = "away"
    CONNECTED = "connected"
    GREETED = "greeted"
    SUBSCRIBED = "subscribed"
    REJECTED = "rejected"


AFTER = {
    "upgraded": Standing.CONNECTED,
    "welcome": Standing.GREETED,
    "confirmed": Standing.SUBSCRIBED,
    "rejected": Standing.REJECTED,
    "lost": Standing.AWAY,
}


class Record:
    """Written by the agent's threads, read by anybody."""

    def __init__(self) -> None:
        self.standing = Standing.AWAY
        self.counts: Counter[str] = Counter()  # by the kinds of cable_client.CableClient
        self.ignored: deque[str] = deque(maxlen=REMEMBERED)  # why, one entry a frame
        self._dispatches: deque[Dispatch] = deque(maxlen=REMEMBERED)
        self._outcomes: OrderedDict[Attempt, int | str] = OrderedDict()
        self._changed = threading.Condition(threading.RLock())

    @property
    def dispatches(self) -> list[Dispatch]:
        """Every dispatch meant for this session, repeated ones included, oldest first."""
        with self._changed:
            return list(self._dispatches)

    def outcome(self, task_id: int, generation: str | None = None) -> int | str | None:
        """How an attempt stands: `open`, `silent`, the HTTP status its reply ended with; the newest one by default."""
        with self._changed:
            found = [
                how for (task, gen), how in self._outcomes.items() if task == task_id and generation in (None, gen)
            ]
        return found[-1] if found else None

    def wait_for(self, condition: Callable[[], Seen], seconds: float = 10.0, what: str = "a change") -> Seen:
        """Block until `condition()` is true and return its value; TimeoutError, with what was seen, when it is late."""
        until = time.monotonic() + seconds
        with self._changed:
            while not (seen := condition()):
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"Waited {seconds:g} s for {what}. Seen: {self}")
                self._changed.wait(left)
            return seen

    def happened(self, kind: str) -> None:
        """Count something the cable told, and note where it leaves the connection."""
        with self._changed:
            self.counts[kind] += 1
            self.standing = AFTER.get(kind, self.standing)
            self._changed.notify_all()

    def ignore(self, why: str) -> None:
        """Note a frame that was not acted on."""
        with self._changed:
            self.ignored.append(why)
            self._changed.notify_all()

    def dispatched(self, dispatch: Dispatch) -> bool:
        """Note a dispatch; True if its attempt is new, so that it is answered once however often it comes."""
        with self._changed:
            new = dispatch.attempt not in self._outcomes
            self._dispatches.append(dispatch)
            if new and dispatch.task_id is not None:
                self.settle(dispatch.attempt, "open")
            self._changed.notify_all()
        return new

    def settle(self, attempt: Attempt, how: int | str) -> None:
        """Note how an attempt stands now."""
        with self._changed:
            self._outcomes[attempt] = how
            while len(self._outcomes) > REMEMBERED:
                self._outcomes.popitem(last=False)
            self._changed.notify_all()

    def forget_attempts(self) -> None:
        """What a restarted process has forgotten: which attempts it met before."""
        with self._changed:
            self._outcomes.clear()

    def __str__(self) -> str:
        with self._changed:
            return (
                f"{self.standing}, {dict(self.counts)}, attempts {dict(self._outcomes)}, ignored {list(self.ignored)}"
            )
