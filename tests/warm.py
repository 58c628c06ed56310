"""Processes that begin with everything imported: forks of one that imported it once, as that takes a second of CPU.

Each runs the `main` of its program with arguments, environment, folder and files of its own, and ends by itself. From
nothing begin hubs of several processes all the same, and `switchyard run` in tests/webapp/test_cli.py.
"""

import _socket
import contextlib
import functools
import gc
import importlib
import json
import os
import posix
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
ORDER_BYTES = 1 << 17
START_SECONDS = 90


class Warm:
    """One process, with those words of `subprocess.Popen` that tests use. Its standard input is a file or nothing."""

    def __init__(
        self,
        program: str,
        arguments: Sequence[str] = (),
        *,
        cwd: Path | str,
        env: Mapping[str, str],
        stdin: IO[Any] | None = None,
        stdout: IO[Any] | None = None,
        stderr: IO[Any] | None = None,
    ) -> None:
        """Without a `stdout`, what it prints is read from `self.stdout`, as text."""
        self.returncode: int | None = None
        self.stdout: IO[str] | None = None
        given: list[Any] = [stdin, stdout, stderr]
        with open(os.devnull, "r+b") as nothing:
            if stdout is None:
                reads, writes = os.pipe()
                self.stdout, given[1] = os.fdopen(reads, "r"), os.fdopen(writes, "wb")
            self._news, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            order = json.dumps({"arguments": [*arguments], "cwd": str(cwd), "env": dict(env)}).encode()
            files = [(file or nothing).fileno() for file in given]
            socket.send_fds(_forker(program), [order], [*files, theirs.fileno()])
            theirs.close()
            if stdout is None:
                given[1].close()
        self._news.settimeout(START_SECONDS)
        self.pid = int(self._news.recv(64))

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended."""
        if (code := self._ended(timeout)) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._news], [], [], timeout)[0]:
            self.returncode = int(self._news.recv(64))
            self._news.close()
        return self.returncode


def run(
    program: str, arguments: Sequence[str], *, cwd: Path | str, env: Mapping[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """What came of one that ends by itself, like `subprocess.run` with captured output."""
    with contextlib.ExitStack() as files:
        given, out, err = (files.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3))
        given.write(stdin)
        given.seek(0)
        code = Warm(program, arguments, cwd=cwd, env=env, stdin=given, stdout=out, stderr=err).wait()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([program, *arguments], code, out.read(), err.read())


@functools.cache
def _forker(program: str) -> socket.socket:
    """The line to the process that imported this program; it ends with us."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        subprocess.Popen(
            [sys.executable, "-m", "tests.warm", program, str(theirs.fileno())],
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    return ours


def fork(program: str, line: Any) -> None:
    """Imports the program and starts it as often as somebody asks. In the process that runs it, returns when it ends.

    Nothing here may wake gevent, which the program may have patched into the standard library: a fork begins its own.
    """
    module = importlib.import_module(program)
    gc.freeze()
    while True:
        order, files, _, _ = socket.recv_fds(line, ORDER_BYTES, 4)
        if not order:
            return
        if posix.fork() == 0:
            line.close()
            watch(module, json.loads(order), files)
            return
        for file in files:
            os.close(file)
        while posix.waitpid(-1, posix.WNOHANG)[0]:
            pass


def watch(module: Any, order: dict[str, Any], files: list[int]) -> None:
    """Runs the program in one more fork, and tells its pid and how it ended. Returns in that one alone."""
    *standard, news = files
    if pid := posix.fork():
        for file in standard:
            os.close(file)
        os.write(news, str(pid).encode())
        code = os.waitstatus_to_exitcode(posix.waitpid(pid, 0)[1])
        os.write(news, str(code).encode())
        os._exit(0)
    for number, file in enumerate(standard):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.modules["__main__"] = module
    sys.argv = [str(module.__file__), *order["arguments"]]
    sys.exit(module.main())


if __name__ == "__main__":
    fork(sys.argv[1], _socket.socket(fileno=int(sys.argv[2])))
