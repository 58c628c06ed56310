"""`python -m tests.scale`: is a full hub as fast to look at as an empty one?

Fills a database by COPY (a million messages, a hundred thousand tasks, ten thousand topics), opens every page on it and
on an empty one, in one process, and compares: the median time (at most 1.5 times that of the empty hub, and 10 ms) and
the number of statements (the same). Search has a bound of its own: it reads what it finds.
"""

import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import flask
import psycopg
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from models import database, registration, schema
from models.base import database_time
from models.creative import Creative
from models.database import transaction
from models.topic import Topic
from models.user import Role, User
from tests.conftest import KEYS, configured
from tests.postgres import leave, server
from tests.statements import counted
from tests.visitor import HASH, Visitor
from webapp.app import create_app
from webapp.streams import conninfo

TOPICS, MESSAGES, TASKS, ACTIVITY = 10_000, 1_000_000, 100_000, 200_000
BIG = 100_000  # messages of the one topic that is opened
ROUNDS = 11
TIMES, PLUS_MS, SEARCH_MS = 1.5, 10.0, 500.0
PAGES = (
    "/",
    "/activity",
    "/agents",
    "/agents/{agent}",
    "/approvals",
    "/chats",
    "/creatives",
    "/creatives/{creative}",
    "/doctor",
    "/gateways",
    "/people",
    "/people/{user}",
    "/plugins",
    "/search",
    "/search?q=pear",
    "/search?q=rare{creative}",
    "/settings",
    "/slots",
    "/supervisor",
    "/tasks",
    "/tasks?status=done",
    "/tasks/{task}",
    "/topics",
    "/topics/{topic}",
    "/trace?task={task}",
    "/tray",
)


class Seen(NamedTuple):
    """One page: the median in ms, and how many statements it took."""

    ms: float
    statements: int


def main() -> int:
    """1 when a page grew."""
    try:
        empty = measured(lambda url, ids: None)
        full = measured(fill)
    finally:
        leave()
    grown = 0
    print(f"{'page':<28} {'empty':>9} {'full':>9}   statements")
    for page in PAGES:
        if page not in empty:
            continue
        before, after = empty[page], full[page]
        bound = SEARCH_MS if "?q=" in page else TIMES * before.ms + PLUS_MS
        held = after.ms <= bound and (after.statements == before.statements or "?q=" in page)
        grown += not held
        told = f"{before.statements:>3} -> {after.statements:<3}"
        print(f"{page:<28} {before.ms:>6.1f} ms {after.ms:>6.1f} ms   {told} {'' if held else '  GROWN'}")
    return 1 if grown else 0


def measured(filled: Callable[[str, dict[str, int]], None]) -> dict[str, Seen]:
    """Every page of a hub of its own, once `filled`."""
    name = f"scale_{uuid.uuid4().hex[:8]}"
    admin = create_engine(server())
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    url = make_url(server()).set(database=name).render_as_string(hide_password=False)
    try:
        database.connect(url, KEYS)
        schema.upgrade(database.engine())
        user, ids = people()
        started = time.monotonic()
        filled(url, ids)
        print(f"filled in {time.monotonic() - started:.0f} s", flush=True)
        app = create_app(configured(Path(tempfile.mkdtemp(prefix="scale-"))), url)
        return dict(opened(app, user, ids))
    finally:
        database.dispose()
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()


def people() -> tuple[User, dict[str, int]]:
    """Mira, who may see everything, with a creative, a topic, an agent and a task that was done."""
    with transaction() as session:
        now = database_time(session)
        mira = User.create(session, "mira@example.org", "Mira", Role.ADMIN, HASH)
        docs = Creative.create(session, mira, "Docs")
        scout, _, _ = registration.register(session, mira, "scout", "laptop", "my-repo", now)
        topic = Topic.create(session, docs, "Pears", scout.id)
        for number in range(60):
            posted = topic.post(session, mira, f"A pear, number {number}", now)
        ids = {"user": mira.id, "creative": docs.id, "agent": scout.id, "topic": topic.id, "task": posted.tasks[0].id}
    return mira, ids


def opened(app: flask.Flask, user: User, ids: dict[str, int]) -> Iterator[tuple[str, Seen]]:
    """The pages that this hub has; each once to warm up."""
    mira = Visitor(app).sign_in(user)
    there = {rule.rule for rule in app.url_map.iter_rules()}
    for page in PAGES:
        if page.partition("?")[0] not in there and "{" not in page:
            continue
        address = page.format(**ids)
        assert mira.get(address).status_code == 200, address
        with counted() as statements:
            mira.get(address)
        took = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            mira.get(address)
            took.append((time.perf_counter() - begun) * 1000)
        yield page, Seen(statistics.median(took), len(statements))


# -- filling ---------------------------------------------------------------------------------------------------------


def fill(url: str, ids: dict[str, int]) -> None:
    """Everything by COPY, then statistics for the planner."""
    with psycopg.connect(conninfo(url), autocommit=False) as connection:
        topics = fill_topics(connection, ids)
        fill_messages(connection, ids, topics)
        fill_tasks(connection, ids, topics)
        fill_activity(connection, ids)
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")


def copy(connection: psycopg.Connection[Any], table: str, columns: str, rows: Iterator[tuple[Any, ...]]) -> None:
    """One COPY."""
    with connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as sink:
        for row in rows:
            sink.write_row(row)


def fill_topics(connection: psycopg.Connection[Any], ids: dict[str, int]) -> range:
    """Topics of the one creative; their ids."""
    names = ((ids["creative"], f"Topic {number}", ids["agent"]) for number in range(TOPICS))
    copy(connection, "topics", "creative_id, name, primary_agent_id", names)
    last = connection.execute("SELECT max(id) FROM topics").fetchone()
    assert last is not None
    return range(last[0] - TOPICS + 1, last[0] + 1)


def fill_messages(connection: psycopg.Connection[Any], ids: dict[str, int], topics: range) -> None:
    """The big topic's share first, the others' in turn, questions and answers."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for number in range(MESSAGES):
            topic = ids["topic"] if number < BIG else topics[number % TOPICS]
            asked = number % 2 == 0
            text = f"What of the pear in box {number % 977}?" if asked else f"It is as ripe as plum {number % 991}."
            user, agent = (ids["user"], None) if asked else (None, ids["agent"])
            answered = "answered" if asked else None
            yield topic, user, agent, text, f"<p>{text}</p>", 1, "person" if asked else "reply", answered

    copy(connection, "messages", "topic_id, user_id, agent_id, text, html, html_version, source, delivery", rows())
    connection.execute(
        "UPDATE topics SET last_message_id = m.id FROM (SELECT topic_id, max(id) AS id FROM messages GROUP BY 1) m"
        " WHERE m.topic_id = topics.id"
    )


def fill_tasks(connection: psycopg.Connection[Any], ids: dict[str, int], topics: range) -> None:
    """Most are done; some hundred are open, failed or cancelled."""
    kinds = {0: "queued", 1: "failed", 2: "cancelled"}

    def rows() -> Iterator[tuple[Any, ...]]:
        for number in range(TASKS):
            status = kinds.get(number % 300, "done")
            over = None if status == "queued" else "2026-01-01T00:00:00Z"
            yield topics[number % TOPICS], ids["agent"], status, f"Pear {number}", over, 0, 0, 0

    columns = "topic_id, agent_id, status, content, finished_at, sent_registration, sends, hops"
    copy(connection, "tasks", columns, rows())
    connection.execute(
        "INSERT INTO task_events (task_id, event, text, actor)"
        " SELECT id, e, 'It was ' || e || '.', 'hub' FROM tasks, unnest(ARRAY['queued', 'delegated']) e"
    )


def fill_activity(connection: psycopg.Connection[Any], ids: dict[str, int]) -> None:
    """Lines of people and of agents."""
    rows = (("person", "tried", f"Mira tried {number}.", "Mira", ids["user"]) for number in range(ACTIVITY))
    copy(connection, "activity", "kind, event, text, actor, user_id", rows)


if __name__ == "__main__":
    sys.exit(main())
