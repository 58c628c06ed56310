"""`make soak MINUTES=10`: several web processes on one database, many plugin sessions, one process killed every 30 s.

Prints what was posted, answered and lost. Every message must be answered exactly once, and presence must be right
within the stale time and one sweep.
"""

import argparse
import contextlib
import http.client
import json
import random
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from models import database, schema
from tests.conditions import until
from tests.hub import KEY, RunningHub, person, wait_ready
from tests.postgres import server
from webapp.playground.agent import PlaygroundAgent
from webapp.playground.answers import Answer


@dataclass(frozen=True)
class Size:
    """How large, how long: seconds of posting, and seconds between two kills."""

    hubs: int = 3
    agents: int = 20
    sessions: int = 200
    seconds: float = 600
    kill_every: float = 30
    pause: float = 0.15


@dataclass
class Counts:
    """What came of it."""

    posted: int = 0
    kills: int = 0
    repeated_posts: int = 0
    refused: list[str] = field(default_factory=list)
    tasks: dict[str, int] = field(default_factory=dict)
    answered_twice: int = 0
    unanswered: int = 0
    routable_wrong: int = 0

    @property
    def clean(self) -> bool:
        """Nothing lost, nothing doubled, presence right."""
        return not (self.refused or self.answered_twice or self.unanswered or self.routable_wrong)


def run(size: Size) -> Counts:
    """The whole soak on a database of its own."""
    name = f"soak_{uuid.uuid4().hex[:8]}"
    _admin(f"CREATE DATABASE {name}")
    url = make_url(server()).set(database=name).render_as_string(hide_password=False)
    database.connect(url, [KEY])
    schema.upgrade(database.engine())
    try:
        with _hubs(url, size.hubs) as hubs:
            return _soak(hubs, size)
    finally:
        database.dispose()
        _admin(f"DROP DATABASE {name} WITH (FORCE)")


def _admin(statement: str) -> None:
    engine = create_engine(server())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


@contextlib.contextmanager
def _hubs(url: str, count: int) -> Iterator[list[RunningHub]]:
    with contextlib.ExitStack() as stack:
        hubs = [stack.enter_context(RunningHub(url)) for _ in range(count)]
        for hub in hubs:
            wait_ready(hub)
        yield hubs


def _soak(hubs: list[RunningHub], size: Size) -> Counts:
    counts, (_, token) = Counts(), person("soak@example.org", "Soak")
    plugins = [
        PlaygroundAgent(
            hubs[number % size.hubs].url,
            token,
            f"agent {number % size.agents}",
            f"session {number}",
            compose=lambda content, author: Answer(f"answered {content}", 0.05),
        )
        for number in range(size.sessions)
    ]
    _each(plugins, lambda plugin: plugin.start())
    topics = [_topic(hubs, token, f"Topic {n}", plugins[n].agent_id or 0) for n in range(size.agents * 2)]
    stop = threading.Event()
    killer = threading.Thread(target=_kill, args=(hubs, size.kill_every, stop, counts), daemon=True)
    killer.start()
    ends = time.monotonic() + size.seconds
    while time.monotonic() < ends:
        _post(hubs, token, random.choice(topics), counts)
        stop.wait(size.pause)
    stop.set()
    killer.join()
    for hub in hubs:
        wait_ready(hub)
    with contextlib.suppress(AssertionError):
        until(lambda: _open_tasks() == 0, "all tasks to end", 90)
    _count(counts)
    _check_presence(counts, size)
    _each(plugins, lambda plugin: plugin.stop())
    return counts


def _each(plugins: list[PlaygroundAgent], verb: object) -> None:
    threads = [threading.Thread(target=verb, args=(plugin,)) for plugin in plugins]  # type: ignore[arg-type]
    for start in range(0, len(threads), 25):
        for thread in threads[start : start + 25]:
            thread.start()
        for thread in threads[start : start + 25]:
            thread.join()


def _kill(hubs: list[RunningHub], every: float, stop: threading.Event, counts: Counts) -> None:
    while not stop.wait(every):
        hub = random.choice(hubs)
        hub.kill()
        counts.kills += 1
        hub.start()
        wait_ready(hub)


def _call(hub: RunningHub, token: str, path: str, body: object, key: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=15)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": key}
        connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _insist(hubs: list[RunningHub], token: str, path: str, body: object, counts: Counts | None = None) -> bytes:
    """One write, under one idempotency key, until some hub has taken it."""
    key, deadline = uuid.uuid4().hex, time.monotonic() + 60
    while True:
        try:
            status, content = _call(random.choice(hubs), token, path, body, key)
        except OSError:
            status, content = 0, b""
        except http.client.HTTPException:
            status, content = 0, b""
        if status == 201:
            return content
        if status not in (0, 409, 503) or time.monotonic() > deadline:
            if counts is not None:
                counts.refused.append(f"{path}: {status}")
                return b""
            raise AssertionError(f"{path}: {status} {content!r}")
        if counts is not None:
            counts.repeated_posts += 1
        threading.Event().wait(0.1)


def _topic(hubs: list[RunningHub], token: str, name: str, agent_id: int) -> int:
    return json.loads(_insist(hubs, token, "/topics", {"name": name, "primary_agent_id": agent_id}))["id"]


def _post(hubs: list[RunningHub], token: str, topic: int, counts: Counts) -> None:
    if _insist(hubs, token, f"/topics/{topic}/messages", {"text": f"message {counts.posted}"}, counts):
        counts.posted += 1


def _value(statement: str) -> int:
    with database.engine().connect() as connection:
        return connection.execute(text(statement)).scalar_one()


def _open_tasks() -> int:
    return _value("SELECT count(*) FROM tasks WHERE finished_at IS NULL")


def _count(counts: Counts) -> None:
    with database.engine().connect() as connection:
        rows = connection.execute(text("SELECT status, count(*) FROM tasks GROUP BY status")).all()
    counts.tasks = dict(tuple(row) for row in rows)
    counts.answered_twice = _value(
        "SELECT count(*) FROM (SELECT task_id FROM messages WHERE source = 'reply' AND task_id IS NOT NULL"
        " GROUP BY task_id HAVING count(*) > 1) twice"
    )
    counts.unanswered = _value(
        "SELECT count(*) FROM messages m WHERE m.source = 'person' AND NOT EXISTS ("
        " SELECT 1 FROM task_messages tm JOIN tasks t ON t.id = tm.task_id WHERE tm.message_id = m.id"
        " AND t.status = 'done' AND EXISTS (SELECT 1 FROM messages r WHERE r.task_id = t.id AND r.source = 'reply'))"
    )


def _check_presence(counts: Counts, size: Size) -> None:
    """Every session has exactly one live row, once the rows of killed processes were swept."""
    live = "SELECT count(DISTINCT session_id) FROM agent_subscriptions WHERE dropped_at IS NULL"
    with contextlib.suppress(AssertionError):
        until(lambda: _value(live) == size.sessions, "every session to be live", 80)
    counts.routable_wrong = abs(_value(live) - size.sessions)


def main() -> int:
    """1 when anything was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    counts = run(Size(seconds=parser.parse_args().minutes * 60))
    print(counts)
    return 0 if counts.clean else 1


if __name__ == "__main__":
    sys.exit(main())
