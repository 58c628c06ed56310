"""Who the newcomer is, the terminals in which commands run, and which processes are theirs."""

import contextlib
import fcntl
import http.client
import os
import pty
import pwd
import re
import signal
import socket
import subprocess
import termios
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.conditions import until

CTRL_C = b"\x03"
STOP_SECONDS = 30.0
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Person:
    """A home, and the account to step down to (None: ours)."""

    home: Path
    account: pwd.struct_passwd | None = None

    def environment(self, **more: str) -> dict[str, str]:
        """What a login shell would have, and where this machine's packages come from.

        The last folder of PATH is the newcomer's own: by it every process of theirs is known, however far it strayed.
        """
        packages = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        path = f"/usr/local/bin:/usr/bin:/bin:{self.home}/bin"
        return {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", "TERM": "xterm", **packages, **more}

    def step_down(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess`."""
        if self.account is None:
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    def run(self, command: list[str], folder: Path) -> None:
        """One command, to its end. Raises CalledProcessError."""
        subprocess.run(command, cwd=folder, env=self.environment(), check=True, **self.step_down())


class Terminal:
    """A terminal of its own in which one command runs in the foreground."""

    def __init__(self, person: Person, folder: Path, command: list[str], **environment: str) -> None:
        self.tag = str(person.home / "bin")
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=person.environment(**environment),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_in_the_foreground,
            **person.step_down(),
        )
        os.close(slave)
        self._heard = bytearray()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        """The command's process, which is its session and its foreground group."""
        return self._process.pid

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # its other end is closed
            while some := os.read(self._master, 65536):
                self._heard += some

    def text(self) -> str:
        """All that it shows, without colours."""
        return COLOUR.sub("", self._heard.decode(errors="replace")).replace("\r\n", "\n")

    def told(self, pattern: str, seconds: float) -> str:
        """The first group of the pattern, as soon as it is there."""

        def found() -> re.Match[str] | None:
            assert self._process.poll() is None, self.text()
            return re.search(pattern, self.text())

        return until(found, f"{pattern} in {self.text()}", seconds)[1]

    def type(self, line: str) -> None:
        """One line at its keyboard."""
        os.write(self._master, line.encode() + b"\n")

    def interrupt(self) -> float:
        """Ctrl-C, as the terminal sends it to the group in the foreground; seconds until the command has ended."""
        began = time.monotonic()
        os.write(self._master, CTRL_C)
        self._process.wait(STOP_SECONDS)
        return time.monotonic() - began

    def close(self) -> None:
        """Ends what a failure left running."""
        if self._process.poll() is None:
            self.interrupt()


def _in_the_foreground() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever runs us in the background ignores it
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def running(tag: str) -> set[psutil.Process]:
    """Every process whose PATH has the newcomer's own folder in it, and what these started (Postgres hides its own)."""
    found: set[psutil.Process] = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if tag in process.environ().get("PATH", ""):
                found |= {process, *process.children(recursive=True)}
    return {process for process in found if lives(process)}


def lives(process: psutil.Process) -> bool:
    """Whether it still runs, and is not another one under the same number."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def name_of(process: psutil.Process) -> str:
    """What it is called, "" when it has just ended."""
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def cpu_seconds(processes: set[psutil.Process]) -> float:
    """How long processors have worked for them, and for children that ended."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def ready(port: int) -> bool:
    """Whether /readyz answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
