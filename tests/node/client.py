"""The npm package @rails/actioncable under Node, commanded from Python: what browsers of people and plugins run."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

HERE = pathlib.Path(__file__).parent
MISSING = "This test needs Node.js 18 or newer with npm. On Debian: apt-get install nodejs npm."


class NodeClient:
    """One Node process with one consumer. Every event is kept in `events`; `wait_for` waits for one that matches."""

    def __init__(self) -> None:
        install()
        self.events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            ["node", "cable_client.mjs"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def connect(self, url: str, origin: str) -> None:
        """Open `url` (ws:// and a token where one is needed) as a page of `origin` would."""
        self._do("connect", url=url, origin=origin)

    def subscribe(self, name: str, **params: Any) -> None:
        """Subscribe to a channel; its events carry `name`."""
        self._do("subscribe", name=name, params=params)

    def perform(self, name: str, action: str, **data: Any) -> None:
        """Send an action on a subscription."""
        self._do("perform", name=name, action=action, data=data)

    def unsubscribe(self, name: str) -> None:
        """Leave a channel."""
        self._do("unsubscribe", name=name)

    def drop(self) -> None:
        """Lose the connection without a goodbye."""
        self._do("drop")

    def come_to_front(self) -> None:
        """As a person who returns to the tab: a lost connection is opened again at once, not at the next look."""
        self._do("return")

    def disconnect(self) -> None:
        """Say goodbye and stay away."""
        self._do("disconnect")

    def heard(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The events so far of that name with those fields."""
        wanted = {"event": event, **fields}
        with self._changed:
            return [seen for seen in self.events if wanted.items() <= seen.items()]

    def received(self, name: str) -> list[Any]:
        """The messages of one subscription so far."""
        return [seen["message"] for seen in self.heard("received", name=name)]

    def sent(self, command: str) -> list[str]:
        """The identifiers of all commands of that kind so far, as they went over the wire."""
        frames = [json.loads(seen["data"]) for seen in self.heard("sent")]
        return [frame["identifier"] for frame in frames if frame["command"] == command]

    def wait_for(self, event: str, *, times: int = 1, seconds: float = 10.0, **fields: Any) -> dict[str, Any]:
        """The newest of at least `times` matching events; TimeoutError with all that was heard."""
        until = time.monotonic() + seconds
        with self._changed:
            while len(matching := self.heard(event, **fields)) < times:
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"Waited {seconds:g} s for {times} x {event} {fields}. Heard: {self.events}")
                self._changed.wait(left)
            return matching[-1]

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        self._process.stdout.close()

    def __enter__(self) -> "NodeClient":
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def _do(self, verb: str, **more: Any) -> None:
        self._process.stdin.write(json.dumps({"do": verb, **more}) + "\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        for line in self._process.stdout:
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()


def install() -> None:
    """Install the locked packages beside this file, once; several test processes may come at the same time."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise RuntimeError(MISSING)
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = HERE / "node_modules" / ".installed"
    with _alone():
        if stamp.exists() and stamp.read_text() == digest:
            return
        done = subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=HERE, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise RuntimeError(f"npm ci failed in tests/node: {done.stderr.strip()}")
        stamp.write_text(digest)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    folder = os.open(HERE, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
