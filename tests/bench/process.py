"""A child process that takes commands as lines and answers each with a line of JSON."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
from types import TracebackType
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PEER = pathlib.Path(__file__).with_name("ws_server.cjs")
WS_VERSION = "8.23.0"


class Child:
    """Runs from `with` to its end; `ask` waits for the answer."""

    def __init__(self, *command: str, environment: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.hello = self.answer()

    @classmethod
    def python(cls, module: str, *arguments: str) -> "Child":
        """A module of ours."""
        return cls(sys.executable, "-m", module, *arguments)

    @classmethod
    def crowd(cls, port: int, token: str, identifier: str) -> "Child":
        """Clients of the hub at this port; each `NUMBER` becomes the number of the client."""
        return cls.python("tests.bench.readers", str(port), token, identifier)

    @classmethod
    def node(cls, *arguments: str) -> "Child":
        """The Node server that we measure ourselves against."""
        return cls("node", str(PEER), *arguments, environment={"NODE_PATH": str(installed_ws())})

    def ask(self, *words: object) -> Any:
        """Sends one command and returns what the child answers."""
        self.tell(*words)
        return self.answer()

    def tell(self, *words: object) -> None:
        """Sends one command."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """The next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """Kills the process."""
        self._process.kill()
        self._process.communicate()


def installed_ws() -> pathlib.Path:
    """The folder with the npm package `ws`, installed once outside the tree."""
    home = (
        pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
        / f"switchyard-bench-ws-{WS_VERSION}"
    )
    modules = home / "node_modules"
    if not (modules / "ws").is_dir():
        if shutil.which("npm") is None:
            raise SystemExit("Install Node and npm: the broadcast is measured beside a Node server.")
        home.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home), f"ws@{WS_VERSION}"],
            check=True,
        )
    return modules
