"""Which process, if any, is the server of a cluster. A pid alone proves nothing: it may be somebody else's by now."""

import contextlib
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

NAMES = ("postgres", "postmaster")
CLOCK_SLACK = 3.0  # seconds between the start the kernel knows and the one the server wrote down


@dataclass(frozen=True)
class Postmaster:
    """The living server process of one cluster. `status` is the last line of its pid file, "" while it has none."""

    process: psutil.Process
    status: str

    @property
    def frozen(self) -> bool:
        """Whether somebody stopped it (SIGSTOP): it will go on, so no second one may start."""
        try:
            return self.process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
        except psutil.Error:
            return False

    def end(self, *, at_once: bool = False) -> None:
        """Ask for a fast shutdown, or an immediate one. psutil signals nobody who has got the pid meanwhile."""
        with contextlib.suppress(psutil.Error):
            self.process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            for process in self.family():
                with contextlib.suppress(psutil.Error):
                    process.resume()  # a frozen one would hear it only then

    def family(self) -> list[psutil.Process]:
        """The server and its children; the one that writes the log outlives the server by a moment."""
        try:
            return [self.process, *self.process.children()]
        except psutil.Error:
            return [self.process]


def pid_file(cluster: Path) -> Path:
    """Where a server of this cluster writes who it is."""
    return cluster / "postmaster.pid"


def find(cluster: Path) -> Postmaster | None:
    """The living server of this cluster, or None: no pid file, nobody there, or somebody else who got the pid."""
    try:
        lines = pid_file(cluster).read_text(errors="replace").splitlines()
        process = psutil.Process(int(lines[0]))
        started = float(lines[2])
    except (FileNotFoundError, ValueError, IndexError, OverflowError, psutil.Error):
        return None
    if not _runs(process) or not _serves(process, cluster, started):
        return None
    return Postmaster(process, lines[7].strip() if len(lines) > 7 else "")


def gone(processes: Iterable[psutil.Process], wait: float) -> bool:
    """Whether they all ended, within `wait` seconds. A zombie that nobody collects has ended too."""
    deadline = time.monotonic() + wait
    while any(map(_runs, processes)):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)
    return True


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _serves(process: psutil.Process, cluster: Path, started: float) -> bool:
    """By its command line, or by its start time should the folder have been moved under it."""
    try:
        named = process.name() in NAMES
        return named and (str(cluster) in process.cmdline() or abs(process.create_time() - started) < CLOCK_SLACK)
    except psutil.Error:
        return False
