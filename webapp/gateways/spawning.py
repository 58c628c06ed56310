"""Starts a gateway's command with what it may know, in a session of its own, its output in a relay of ours."""

import json
import os
import re
import shutil
import sys
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from gevent import subprocess

from webapp import gateway_logs
from webapp.gateways import relay
from webapp.gateways.process import Identity, LocalProcess

PORT, TOKEN = "OPENCLAW_GATEWAY_PORT", "OPENCLAW_GATEWAY_TOKEN"
PASSED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")
SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|KEY|CREDENTIAL", re.I)


class CommandMissing(Exception):
    """The command cannot be started; the sentence names it and says why."""


@dataclass(frozen=True)
class Launch:
    """What is started: a list of arguments (no shell reads it), and what it may know."""

    command: list[str]
    port: int
    token: str | None = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    data_dir: Path
    gateway_id: int

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Its whole environment: a few of our variables, its own, its port and its token."""
        passed = {name: value for name, value in environ.items() if name in PASSED or name.startswith("LC_")}
        given = {PORT: str(self.port)} | ({TOKEN: self.token} if self.token else {})
        return {**passed, **self.env, **given}

    def secrets(self) -> list[str]:
        """What must not reach the log: the token, and values of `env` whose name says so, as they may be written."""
        found = [value for name, value in self.env.items() if SECRET_NAME.search(name) and len(value) >= 4]
        found += [self.token] if self.token else []
        forms = [(one, urllib.parse.quote(one, safe=""), json.dumps(one)[1:-1]) for one in found]
        return sorted({form for one in forms for form in one})

    def made(self, process: psutil.Process) -> bool:
        """Whether this process was given our port and our token: it descends from what we started."""
        try:
            environ = process.environ()
        except psutil.Error:
            return False
        return environ.get(PORT) == str(self.port) and environ.get(TOKEN) == (self.token or None)

    def started(self, environ: Mapping[str, str] = os.environ) -> LocalProcess:
        """Starts it. Raises CommandMissing when there is no such program, or it may not be run."""
        program = _program(self.command, self.environment(environ).get("PATH"))
        logs = gateway_logs.folder(self.data_dir, self.gateway_id)
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        output, into = os.pipe()
        try:
            relayed = _relay(logs, output, self.secrets())
            child = subprocess.Popen(  # a list, no shell
                self.command,
                executable=program,
                env=self.environment(environ),
                stdin=subprocess.DEVNULL,
                stdout=into,
                stderr=into,
                start_new_session=True,
            )
        except OSError as error:
            raise CommandMissing(f"{self.command[0]} could not be started: {error.strerror}.") from error
        finally:
            os.close(output)
            os.close(into)
        identity = Identity.of(child.pid)
        return LocalProcess(identity or Identity(child.pid, 0.0), child, relayed)


def _program(command: list[str], path: str | None) -> str:
    if not command:
        raise CommandMissing("No command is set.")
    found = shutil.which(command[0], path=path)
    if found is not None:
        return found
    if os.path.dirname(command[0]) and os.path.exists(command[0]):
        raise CommandMissing(f"{command[0]} may not be run by this user.")
    raise CommandMissing(f"{command[0]} was not found on this machine.")


def _relay(logs: Path, output: int, secrets: Iterable[str]) -> "subprocess.Popen[bytes]":
    """The relay, with the secrets handed over a pipe. It is nobody's to stop: it ends with the gateway's output."""
    read, write = os.pipe()
    try:
        started = subprocess.Popen(  # a list, no shell
            [sys.executable, "-I", "-S", relay.__file__, str(logs), str(read)],
            env={},
            cwd="/",
            stdin=output,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[read],
            start_new_session=True,
        )
        with os.fdopen(os.dup(write), "w", encoding="utf-8") as pipe:
            json.dump(list(secrets), pipe)
        return started
    finally:
        os.close(read)
        os.close(write)
