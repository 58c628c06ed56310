"""A real hub in a process of its own, on a database of its own: for journeys. tests/warm.py makes the process."""

import contextlib
import http.client
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import uuid
from types import TracebackType
from typing import Any

import psutil

from models import database
from models.access_token import AccessToken
from models.base import database_time
from models.passwords import hash_password
from models.user import User
from tests.conditions import until
from tests.warm import Warm

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEY = "a-test-key-that-is-long-enough-for-everybody"
PASSWORD = "correct horse battery"


class RunningHub:
    """`with RunningHub(url) as hub:` serves on a free port until the block ends.

    Without a URL it uses the embedded database.
    """

    program = "wsgi"

    def __init__(self, database_url: str | None, port: int = 0, **settings: str) -> None:
        self.database_url = database_url
        self.settings = settings
        self.port = port
        self.url = ""
        self.output: list[str] = []
        self._process: Warm | subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="hub-")

    def __enter__(self) -> "RunningHub":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is not None or os.environ.get("KEEP_LOGS"):
            kept = [line for line in self.log().splitlines() if '"event": "request"' not in line]
            print("\n".join(kept)[-20000:])
        place = pathlib.Path(self._folder.name) / "database.place"  # where root keeps it
        if place.exists():
            shutil.rmtree(place.read_text())
        self._folder.cleanup()

    def start(self) -> None:
        """Starts it and waits until it is ready; a second start takes the same port."""
        environment = {
            **os.environ,
            "SWITCHYARD_DATABASE_URL": self.database_url or "",
            "SWITCHYARD_DATA_DIR": self._folder.name,
            "SWITCHYARD_SECRET_KEY": KEY,
            "SWITCHYARD_PORT": str(self.port),
            **{f"SWITCHYARD_{name.upper()}": value for name, value in self.settings.items()},
        }
        with (self.data_dir / "log").open("a") as log:
            if "workers" in self.settings:  # all its processes begin from nothing
                started: dict[str, Any] = {"cwd": ROOT, "env": environment, "stderr": log}
                self._process = subprocess.Popen(
                    [sys.executable, "wsgi.py"], stdout=subprocess.PIPE, text=True, **started
                )
            else:
                self._process = Warm(self.program, cwd=ROOT, env=environment, stderr=log)
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, args=(self._process, lines), daemon=True).start()
        ready = lines.get(timeout=90)
        if "ready at" not in ready:
            raise AssertionError(f"the hub did not start: {self.log()[-3000:]}")
        self.url = ready.rsplit(" ", 1)[-1].strip()
        self.port = urllib.parse.urlsplit(self.url).port or 0

    def _read(self, process: Warm | subprocess.Popen[str], lines: "queue.Queue[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.output.append(line.rstrip())
            lines.put(line)
        lines.put("")

    @property
    def folder(self) -> str:
        """Its data folder."""
        return self._folder.name

    @property
    def pid(self) -> int:
        """The hub's process."""
        assert self._process is not None
        return self._process.pid

    @property
    def data_dir(self) -> pathlib.Path:
        """Its data folder."""
        return pathlib.Path(self._folder.name)

    def workers(self) -> list[int]:
        """The web processes of a hub that has several."""
        found = []
        for child in psutil.Process(self.pid).children():
            with contextlib.suppress(psutil.Error):  # it ends at this moment
                found += [child.pid] if "--inherit" in child.cmdline() else []
        return found

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> int:
        """A planned stop; the exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Until it has ended; the exit code."""
        assert self._process is not None
        return self._process.wait(60)

    def log(self) -> str:
        """What it has logged."""
        return (pathlib.Path(self._folder.name) / "log").read_text()

    def request(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        """One request to the REST API: status and JSON (None when there is no body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            given = {"Content-Type": "application/json", **headers}
            if token:
                given["Authorization"] = f"Bearer {token}"
            connection.request(method, path, None if body is None else json.dumps(body), given)
            answer = connection.getresponse()
            content = answer.read()
            is_json = "json" in (answer.headers.get("Content-Type") or "")
            return answer.status, json.loads(content) if content and is_json else content.decode() or None
        finally:
            connection.close()

    def insist(self, path: str, body: Any, token: str, seconds: float = 60) -> Any:
        """The JSON of a write, sent again under one idempotency key until the hub has taken it."""
        key, answers = uuid.uuid4().hex, [(0, "none")]

        def taken() -> bool:
            with contextlib.suppress(OSError, http.client.HTTPException):
                answers.append(self.request("POST", f"/api/v1{path}", body, token, **{"Idempotency-Key": key}))
            return answers[-1][0] not in (0, 409, 503)

        until(taken, f"{path} to be taken", seconds)
        status, answer = answers[-1]
        assert status < 300, (status, answer)
        return answer

    def ready(self) -> bool:
        """Whether /readyz says so."""
        try:
            return self.request("GET", "/readyz")[0] == 200
        except OSError:
            return False


class HastyHub(RunningHub):
    """One whose supervisors wait for seconds where they would for a minute."""

    program = "tests.hasty_hub"


def person(email: str, name: str, role: str = "member") -> tuple[int, str]:
    """A new person in the connected database, with PASSWORD; id and access token."""
    with database.transaction() as session:
        user = User.create(session, email, name, role, hash_password(PASSWORD))
        _, token = AccessToken.create(session, user, "tests", database_time(session))
        return user.id, token


def wait_ready(hub: RunningHub) -> None:
    """Until the hub is ready."""
    until(hub.ready, "the hub to be ready", 20)
