"""One real gateway at a time: its settings, its process, and what may happen to it."""

import contextlib
import ctypes
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.conditions import until
from tests.real.installed import Installed, folder
from tests.real.model import NAME, Model

READY_SECONDS = 240.0  # ten on an idle machine
STOP_SECONDS = 10.0


def free_port() -> int:
    """A port of this machine that nobody holds now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Lab:
    """`with Lab(installed) as lab:` a gateway listens at `lab.url`, and a model server answers it.

    Commands wait for an approval there. Who comes with X-Forwarded-For is taken for somebody elsewhere.
    """

    def __init__(self, release: Installed) -> None:
        self.release = release
        self.protocol = release.protocol
        self.token = secrets.token_hex(16)
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}"
        self.model = Model()
        runs = folder() / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{release.version}-", dir=runs))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Lab":
        self.model.__enter__()
        self.configure()
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.model.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    def configure(self) -> None:
        """Writes its settings: everything that would look outside is off."""
        gateway: dict[str, Any] = {
            "mode": "local",
            "bind": "loopback",
            "port": self.port,
            "auth": {"mode": "token", "token": self.token},
            "controlUi": {"enabled": False},
            "trustedProxies": ["127.0.0.1"],
        }
        model = {"id": NAME, "name": "Echo", "reasoning": False, "input": ["text"], "contextWindow": 1_000_000}
        model |= {"cost": dict.fromkeys(("input", "output", "cacheRead", "cacheWrite"), 0), "maxTokens": 65536}
        provider = {"baseUrl": self.model.url, "apiKey": "lab", "api": "openai-completions", "models": [model]}
        models: dict[str, Any] = {"mode": "replace", "providers": {"lab": provider}}
        command: dict[str, Any] = {"host": "gateway"}
        settings: dict[str, Any] = {
            "gateway": gateway,
            "discovery": {"mdns": {"mode": "off"}},
            "update": {"checkOnStart": False, "auto": {"enabled": False}},
            "browser": {"enabled": False},
            "plugins": {"enabled": False},
            "cron": {"enabled": True},
            "tools": {"exec": command},
            "models": models,
            "agents": {
                "defaults": {
                    "model": {"primary": f"lab/{NAME}"},
                    "workspace": str(self.folder / "workspace"),
                    "skipBootstrap": True,
                    "heartbeat": {"every": "0m"},
                }
            },
            "logging": {"file": str(self.folder / "gateway-json.log")},
        }
        if self.protocol == 3:
            command |= {"security": "allowlist", "ask": "on-miss"}
            models["pricing"] = {"enabled": False}
        else:
            command |= {"mode": "ask"}
            settings["telemetry"] = {"enabled": False}
        (self.folder / "openclaw.json").write_text(json.dumps(settings, indent=2))

    def command(self) -> list[str]:
        """What starts it."""
        entry = [str(self.release.node), str(self.release.entry)]
        return [*entry, "gateway", "run", "--port", str(self.port), "--bind", "loopback"]

    def environment(self) -> dict[str, str]:
        """What it may know, besides PATH."""
        return {
            "HOME": str(self.folder),
            "OPENCLAW_STATE_DIR": str(self.folder / "state"),
            "OPENCLAW_CONFIG_PATH": str(self.folder / "openclaw.json"),
            "OPENCLAW_DISABLE_BONJOUR": "1",
            "OPENCLAW_SKIP_CHANNELS": "1",
            "OPENCLAW_NO_AUTO_UPDATE": "1",
            "OPENCLAW_NO_RESPAWN": "1",
            "OPENCLAW_EXEC_SHELL_SNAPSHOT": "0",
            "NO_COLOR": "1",
        }

    # -- what happens to it ------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Starts it, and does not wait."""
        path = os.pathsep.join([str(self.release.node.parent), os.environ["PATH"]])
        with open(self.folder / "output.log", "ab") as output:
            self._process = subprocess.Popen(
                self.command(),
                env={"PATH": path, **self.environment()},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_die_with_us,
            )

    def start(self) -> None:
        """Starts it and waits until it is ready."""
        self.launch()
        until(self.is_ready, "the real gateway to be ready", READY_SECONDS)

    def ensure(self) -> None:
        """Starts it where it does not run."""
        if self._process is None or self._process.poll() is not None:
            self.start()

    def terminate(self) -> None:
        """Asks it to stop, and does not wait: it finishes what runs first."""
        assert self._process is not None
        self._process.terminate()

    def stop(self) -> None:
        """A planned stop, cut short when it takes long."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self.crash()

    def crash(self) -> None:
        """kill -9, of all that belongs to it."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)

    def is_ready(self) -> bool:
        """Whether it says so. Fails when it has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(f"the gateway ended with {self._process.returncode}: {self.output()[-2000:]}")
        return self.readiness() == 200

    def readiness(self) -> int | None:
        """The status of /readyz; None when nobody listens."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        except OSError:
            return None

    def output(self) -> str:
        """What it has written."""
        return (self.folder / "output.log").read_text(errors="replace")


def _die_with_us() -> None:
    """A test run that is killed leaves no gateway behind (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
