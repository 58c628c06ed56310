"""One process of this machine: known by pid and start time, waited for, and ended with all of its family."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import gevent
import psutil
from gevent import subprocess
from gevent.socket import wait_read

# A pid is the same process only if it also started then, give or take what the clocks of the system differ.
CLOCK_SLACK = 1.5
STOP_SECONDS = 5.0
KILL_SECONDS = 5.0
LOOK_SECONDS = 0.05
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Identity:
    """A pid with the start of its process, in seconds since 1970: a reused pid is somebody else."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """Who has this pid now, if anybody."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    def process(self) -> psutil.Process | None:
        """The living process; None when it has ended, a zombie included, or the pid is somebody else's."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.started) <= CLOCK_SLACK
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


@dataclass(frozen=True)
class Exit:
    """How a process ended: its exit code, or the signal that ended it; neither where nobody could ask."""

    code: int | None = None
    signal: str | None = None

    @classmethod
    def of(cls, returncode: int | None) -> "Exit":
        """From what the system gave to the parent."""
        if returncode is None or returncode >= 0:
            return cls(code=returncode)
        try:
            return cls(signal=signal.Signals(-returncode).name)
        except ValueError:
            return cls(signal=f"signal {-returncode}")

    def __str__(self) -> str:
        """For a sentence: "office ended by itself, code 1"."""
        if self.signal is not None:
            return self.signal
        return "code unknown" if self.code is None else f"code {self.code}"


class LocalProcess:
    """A gateway's process: our child, or one that was found (`child` None), whose exit code nobody can learn."""

    def __init__(
        self,
        identity: Identity,
        child: "subprocess.Popen[bytes] | None" = None,
        relay: "subprocess.Popen[bytes] | None" = None,
    ) -> None:
        self.identity = identity
        self.child, self.relay = child, relay

    @property
    def pid(self) -> int:
        """Its pid."""
        return self.identity.pid

    def alive(self) -> bool:
        """Whether it runs; one that is stopped (SIGSTOP) does."""
        if self.child is not None and self.child.poll() is not None:
            return False
        return self.identity.process() is not None

    def worked(self) -> float:
        """Seconds of the processor that it and its children have used; 0 when it is gone."""
        try:
            times = psutil.Process(self.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return times.user + times.system + times.children_user + times.children_system

    def exit(self) -> Exit:
        """How it ended."""
        return Exit() if self.child is None else Exit.of(self.child.poll())

    def wait(self, seconds: float | None = None) -> bool:
        """Until it has ended, at most so long; whether it has. Wakes at once where the system has pidfds."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while self.alive():
            left = POLL_SECONDS if deadline is None else min(POLL_SECONDS, deadline - time.monotonic())
            if left <= 0:
                return False
            self._wait_a_while(left)
        if self.child is not None:
            self.child.wait()
        return True

    def wait_for_output(self, seconds: float) -> None:
        """Until all it said is in its log, at most so long: whoever it left behind may still hold the pipe."""
        if self.relay is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.relay.wait(seconds)

    def _wait_a_while(self, seconds: float) -> None:
        """Until it ends, or so long."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            gevent.sleep(min(seconds, LOOK_SECONDS * 4))
            return
        try:
            wait_read(descriptor, timeout=seconds, timeout_exc=TimeoutError())
        except TimeoutError:
            return
        finally:
            os.close(descriptor)

    def family(self, ours: Callable[[psutil.Process], bool] = lambda _: False) -> list[psutil.Process]:
        """The process, what descends from it, and what is in the session or group that it leads.

        While any of its group lives, the system gives its pid to nobody. Once it is gone itself, a later leader may
        have had that pid and gone too: then `ours` must prove each of them.
        """
        leader = self.identity.process()
        found: dict[int, psutil.Process] = {}
        if leader is not None:
            found[leader.pid] = leader
            with contextlib.suppress(psutil.Error):
                found.update({child.pid: child for child in leader.children(recursive=True)})
        elif self._pid_is_anothers():
            return []
        for process in psutil.process_iter():
            if process.pid not in found and self._is_led(process.pid) and (leader is not None or ours(process)):
                found[process.pid] = process
        return [process for process in found.values() if runs(process)]

    def _pid_is_anothers(self) -> bool:
        now = Identity.of(self.pid)
        return now is not None and abs(now.started - self.identity.started) > CLOCK_SLACK

    def _is_led(self, pid: int) -> bool:
        try:
            return self.pid in (os.getsid(pid), os.getpgid(pid))
        except (ProcessLookupError, PermissionError):
            return False

    def end(
        self,
        patience: float = STOP_SECONDS,
        ours: Callable[[psutil.Process], bool] = lambda _: False,
    ) -> bool:
        """TERM to all of the family, so many seconds, then KILL to whoever is left; whether all are gone.

        psutil signals nobody who has got a pid meanwhile. What is frozen is woken, or it would not hear of it.
        """
        family = self.family(ours)
        _signal(family, signal.SIGTERM)
        _signal(family, signal.SIGCONT)
        if not self._gone(family, patience):
            family = _united(family, self.family(ours))
            _signal(family, signal.SIGKILL)
        elif late := self.family(ours):  # born while the others left
            family = late
            _signal(family, signal.SIGKILL)
        return self._gone(family, KILL_SECONDS)

    def _gone(self, family: Iterable[psutil.Process], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            if self.child is not None:
                self.child.poll()  # collect it: a zombie keeps its pid
            if not any(map(runs, family)):
                return True
            if time.monotonic() >= deadline:
                return False
            gevent.sleep(LOOK_SECONDS)


def _signal(family: Iterable[psutil.Process], number: int) -> None:
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def runs(process: psutil.Process) -> bool:
    """Whether it is alive; a zombie that nobody collects is not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _united(one: list[psutil.Process], two: list[psutil.Process]) -> list[psutil.Process]:
    return list({process.pid: process for process in [*one, *two]}.values())
