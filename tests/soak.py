"""`make soak MINUTES=10`: three web processes on one port, 200 plugin sessions, one process killed every 30 s.

Prints what was posted, answered and lost. Every message must be answered exactly once, and presence must be right
within the stale time and one sweep. What a rule of the hub allows to go otherwise is printed with that rule.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field

from sqlalchemy import text

from models import database
from tests.conditions import until
from tests.hub import RunningHub, person, wait_ready
from tests.passing import passing
from webapp.playground.agent import PlaygroundAgent
from webapp.playground.answers import Answer

STALE_AND_SWEEP = 45 + 30  # seconds until the row of a killed process is taken for what it is
# What may happen to a message instead of one answer: the sentence on its task, and the rule behind it.
RULES = {
    "did not come back in time": "work of a session that stays away for longer than the grace window is cancelled",
}
UNANSWERED = (
    "SELECT m.id, t.id AS task, t.status, t.why FROM messages m LEFT JOIN task_messages tm ON tm.message_id = m.id"
    " LEFT JOIN tasks t ON t.id = tm.task_id WHERE m.source = 'person' AND NOT EXISTS ("
    " SELECT 1 FROM task_messages am JOIN messages r ON r.task_id = am.task_id AND r.source = 'reply'"
    " JOIN tasks done ON done.id = am.task_id AND done.status = 'done' WHERE am.message_id = m.id) ORDER BY m.id"
)


@dataclass(frozen=True)
class Size:
    """How large, how long: seconds of posting, and seconds between two kills."""

    workers: int = 3
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
    repeated_posts: int = 0  # a connection broke or was refused: the same post again, under the same idempotency key
    tasks: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    answered_twice: int = 0
    lost: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)
    presence_wrong: int = 0
    presence_seconds: float = 0.0  # until it was right, after the last post

    @property
    def clean(self) -> bool:
        """Nothing lost, nothing doubled, presence right."""
        return not (self.refused or self.answered_twice or self.lost or self.presence_wrong)

    def __str__(self) -> str:
        lines = [f"{name.replace('_', ' ')}: {value}" for name, value in vars(self).items() if name != "excused"]
        return "\n".join([*lines, f"excused: {len(self.excused)}", *self.excused])


def run(size: Size) -> Counts:
    """The whole soak on a database of its own."""
    with passing("soak") as url, RunningHub(url, workers=str(size.workers)) as hub:
        wait_ready(hub)
        return _soak(hub, size)


def _soak(hub: RunningHub, size: Size) -> Counts:
    counts, (_, token) = Counts(), person("soak@example.org", "Soak")
    plugins = [
        PlaygroundAgent(
            hub.url,
            token,
            f"agent {number % size.agents}",
            f"session {number}",
            compose=lambda content, author: Answer(f"answered {content}", 0.05),
        )
        for number in range(size.sessions)
    ]
    _each(plugins, lambda plugin: plugin.start())
    topics = [_topic(hub, token, f"Topic {n}", plugins[n % size.agents].agent_id or 0) for n in range(size.agents * 2)]
    stop = threading.Event()
    killer = threading.Thread(target=_kill, args=(hub, size, stop, counts), daemon=True)
    killer.start()
    ends = time.monotonic() + size.seconds
    while time.monotonic() < ends:
        _post(hub, token, random.choice(topics), counts)
        stop.wait(size.pause)
    stop.set()
    killer.join()
    _check_presence(counts, size)
    with contextlib.suppress(AssertionError):
        until(lambda: _open_tasks() == 0, "all tasks to end", 90)
    _count(counts)
    _each(plugins, lambda plugin: plugin.stop())
    return counts


def _each(plugins: list[PlaygroundAgent], verb: object) -> None:
    threads = [threading.Thread(target=verb, args=(plugin,)) for plugin in plugins]  # type: ignore[arg-type]
    for start in range(0, len(threads), 25):
        for thread in threads[start : start + 25]:
            thread.start()
        for thread in threads[start : start + 25]:
            thread.join()


def _kill(hub: RunningHub, size: Size, stop: threading.Event, counts: Counts) -> None:
    """One web process after the other; its parent puts the next one in its place."""
    while not stop.wait(size.kill_every):
        os.kill(random.choice(hub.workers()), signal.SIGKILL)
        counts.kills += 1


def _call(hub: RunningHub, token: str, path: str, body: object, key: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=15)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": key}
        connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _insist(hub: RunningHub, token: str, path: str, body: object, counts: Counts | None = None) -> bytes:
    """One write, under one idempotency key, until some process has taken it."""
    key, deadline = uuid.uuid4().hex, time.monotonic() + 60
    while True:
        try:
            status, content = _call(hub, token, path, body, key)
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


def _topic(hub: RunningHub, token: str, name: str, agent_id: int) -> int:
    return json.loads(_insist(hub, token, "/topics", {"name": name, "primary_agent_id": agent_id}))["id"]


def _post(hub: RunningHub, token: str, topic: int, counts: Counts) -> None:
    if _insist(hub, token, f"/topics/{topic}/messages", {"text": f"message {counts.posted}"}, counts):
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
    with database.engine().connect() as connection:
        for row in connection.execute(text(UNANSWERED)).all():
            told = f"message {row.id}: task {row.task} {row.status}: {row.why}"
            rule = next((rule for words, rule in RULES.items() if words in (row.why or "")), None)
            if rule is None:
                counts.lost.append(told)
            else:
                counts.excused.append(f"  {told} Rule: {rule}.")


def _check_presence(counts: Counts, size: Size) -> None:
    """Every session has exactly one live row and no other, within the stale time and one sweep."""
    began = time.monotonic()
    once = (
        "SELECT count(*) FROM (SELECT agent_id, session_id FROM agent_subscriptions WHERE dropped_at IS NULL"
        " GROUP BY 1, 2 HAVING count(*) = 1) once"
    )
    rows = "SELECT count(*) FROM agent_subscriptions WHERE dropped_at IS NULL"

    def right() -> bool:
        return _value(once) == size.sessions == _value(rows)

    with contextlib.suppress(AssertionError):
        until(right, "every session to be live, once", STALE_AND_SWEEP)
    counts.presence_seconds = round(time.monotonic() - began, 1)
    counts.presence_wrong = 0 if right() else abs(_value(once) - size.sessions) + abs(_value(rows) - size.sessions)


def main() -> int:
    """1 when anything was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    size = Size(seconds=parser.parse_args().minutes * 60)
    print(size)
    counts = run(size)
    print(counts)
    return 0 if counts.clean else 1


if __name__ == "__main__":
    sys.exit(main())
