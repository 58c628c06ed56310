"""Several web processes on one listening socket: the parent opens it, keeps their number up, and serves nobody.

parent --- listener, lifeline ---> worker        a worker ends: the next one takes its seat, later each time
   |                                             the parent ends: every lifeline breaks, and its worker ends
   +------ listener, lifeline ---> worker        a connection that waits is taken by any of them, or by the next
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import gevent
import structlog
from gevent import monkey, socket, subprocess
from gevent.event import Event

log = structlog.get_logger("parent")

READY = b"r"
INHERIT = "--inherit"  # with two descriptors, it makes a process a worker
START_SECONDS = 60.0  # how long all workers together may take to accept
STOP_SECONDS = 12.0  # a worker tells its sockets, then waits five seconds for what still runs
SHORT_LIFE_SECONDS = 10.0
RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class WorkersFailed(Exception):
    """The workers do not start. They have said why themselves, or the sentence does."""


class Parent:
    """Keeps `count` workers alive, each started by `command` with the descriptors of its listener and lifeline."""

    def __init__(self, command: Sequence[str], count: int, listener: Any) -> None:
        """Nothing is started before `start`. The listener stays open here, so that no waiting connection is lost."""
        self._command = list(command)
        self._listener = listener
        self._workers: list[Any] = [None] * count
        self._ready = [Event() for _ in range(count)]
        self._seats: list[gevent.Greenlet] = []
        self._failed: int | None = None
        self.ready = False  # all have accepted once: from now on one that fails is started again
        self.stopping = False

    def start(self) -> None:
        """Returns when all workers accept. Raises WorkersFailed when one says that it cannot."""
        for seat in range(len(self._workers)):
            greenlet = gevent.spawn(self._keep, seat)
            greenlet.name = f"seat-{seat}"
            self._seats.append(greenlet)
        with gevent.Timeout(START_SECONDS, WorkersFailed("The web processes do not start; their log says why.")):
            for ready in self._ready:
                ready.wait()
        if self._failed is not None:
            raise WorkersFailed(f"A web process ended with code {self._failed} while it started.")
        self.ready = True

    def stop(self) -> None:
        """Ends all workers: asks them first, and kills who is still there when the time is up."""
        self.stopping = True
        self._listener.close()
        self._signal(signal.SIGTERM)
        gevent.joinall(self._seats, timeout=STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """kill -9 for all workers; returns when they are gone."""
        self.stopping = True
        self._signal(signal.SIGKILL)
        gevent.joinall(self._seats, timeout=2)
        gevent.killall(self._seats, timeout=1)

    def pids(self) -> list[int]:
        """The processes of the living workers."""
        return [worker.pid for worker in self._workers if worker is not None and worker.poll() is None]

    def _keep(self, seat: int) -> None:
        """Sees that the seat is taken, until the end."""
        tries = 0
        while not self.stopping:
            born = time.monotonic()
            code = self._live(seat)
            if self.stopping:
                return
            if code > 0 and not self.ready:
                self._give_up(code)
                return
            tries = 0 if time.monotonic() - born > SHORT_LIFE_SECONDS else tries + 1
            delay = RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)]
            log.error("worker_ended", seat=seat, code=code, again_in=delay)
            gevent.sleep(delay)

    def _live(self, seat: int) -> int:
        """One worker's life, from its start to its exit code; negative is the signal that ended it."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                given = (self._listener.fileno(), theirs.fileno())
                command = [*self._command, INHERIT, *map(str, given)]
                worker = subprocess.Popen(command, pass_fds=given, stdin=subprocess.DEVNULL)
            self._workers[seat] = worker
            if self.stopping:
                worker.terminate()
            log.info("worker_started", seat=seat, worker=worker.pid)
            with contextlib.suppress(OSError):
                if ours.recv(1) == READY:
                    self._ready[seat].set()
            return worker.wait()

    def _give_up(self, code: int) -> None:
        self._failed = code
        for ready in self._ready:
            ready.set()

    def _signal(self, number: int) -> None:
        for worker in self._workers:
            if worker is not None and worker.poll() is None:
                worker.send_signal(number)


class Lifeline:
    """A worker's end of the line to its parent: says `ready` once, and breaks when the parent is gone."""

    def __init__(self, listener: int, line: int) -> None:
        """The descriptors that the parent handed over. Programs that this process starts do not get them."""
        for descriptor in (listener, line):
            os.set_inheritable(descriptor, False)
        os.set_blocking(line, True)
        self.listener = socket.socket(fileno=listener)
        self._line = line

    @classmethod
    def inherited(cls, arguments: Sequence[str]) -> "Lifeline | None":
        """The line that these arguments speak of; None for a process that nobody started as a worker."""
        if len(arguments) != 3 or arguments[0] != INHERIT:
            return None
        return cls(int(arguments[1]), int(arguments[2]))

    def ready(self) -> None:
        """Tells the parent that this worker accepts."""
        with contextlib.suppress(OSError):
            os.write(self._line, READY)

    def watch(self, broken: Callable[[], None]) -> None:
        """Calls `broken` in a thread of its own when the parent is gone: also when a greenlet never yields."""
        monkey.get_original("_thread", "start_new_thread")(self._wait, (broken,))

    def _wait(self, broken: Callable[[], None]) -> None:
        while os.read(self._line, 1):
            pass
        broken()
