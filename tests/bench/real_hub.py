"""The whole hub as a process of its own, on a database of its own, with a person, a token and plugin agents."""

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from models import database, registration, schema
from models.access_token import AccessToken
from models.base import database_time
from models.user import Role, User
from tests.bench.process import ROOT
from tests.postgres import server

KEY = "a-bench-key-that-is-long-enough-for-everybody"
READY = "ready at "


@dataclass
class RealHub:
    """Where it is, and who may come in."""

    process: "subprocess.Popen[str]"
    port: int
    token: str
    agent_ids: list[int]
    topic_ids: list[int]
    start: Callable[[int], "subprocess.Popen[str]"]

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def restart(self) -> None:
        """kill -9, and back on the same port when it accepts."""
        self.process.kill()
        self.process.communicate()
        self.process = self.start(self.port)
        _port(self.process)

    def private_bytes(self) -> int:
        """The RAM that is the process's own."""
        with open(f"/proc/{self.pid}/smaps_rollup") as rollup:
            return sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Private_"))


@contextmanager
def real_hub(agents: int) -> Iterator[RealHub]:
    """A running hub; its database is dropped at the end."""
    name = f"bench_{uuid.uuid4().hex[:8]}"
    _admin(f"CREATE DATABASE {name}")
    url = make_url(server()).set(database=name).render_as_string(hide_password=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            token, agent_ids, topic_ids = _people(url, agents)
            start = partial(_started, url, folder)
            process = start(0)
            hub = RealHub(process, _port(process), token, agent_ids, topic_ids, start)
            try:
                yield hub
            finally:
                hub.process.kill()
                hub.process.communicate()
    finally:
        _admin(f"DROP DATABASE {name} WITH (FORCE)")


def _people(url: str, agents: int) -> tuple[str, list[int], list[int]]:
    database.connect(url, [KEY])
    schema.upgrade(database.engine())
    with database.transaction() as session:
        user = User.create(session, "bench@example.org", "Bench", Role.MEMBER)
        now = database_time(session)
        _, token = AccessToken.create(session, user, "bench", now)
        known = [registration.register(session, user, f"agent {number}", "s", None, now) for number in range(agents)]
        ids = [one.agent.id for one in known], [one.topic.id for one in known]
    database.dispose()
    return token, *ids


def _started(url: str, folder: str, port: int) -> "subprocess.Popen[str]":
    settings = {"DATABASE_URL": url, "SECRET_KEY": KEY, "DATA_DIR": folder, "PORT": str(port)}
    environment = {**os.environ, **{f"SWITCHYARD_{name}": value for name, value in settings.items()}}
    return subprocess.Popen(
        [sys.executable, "wsgi.py"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _port(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    for line in process.stdout:
        if READY in line:
            return int(line.strip().rpartition(":")[2])
    raise SystemExit(f"The hub did not start: exit code {process.wait()}.")


def _admin(statement: str) -> None:
    engine = create_engine(server())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
