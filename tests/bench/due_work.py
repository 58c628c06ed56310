"""Work that came due while the hub was down, done by three processes of which two are killed meanwhile."""

import os
import signal
import uuid
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import create_engine, func, text, update
from sqlalchemy.engine import make_url

from models import database, registration, schema
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.base import database_time
from models.database import transaction
from models.topic import Topic
from models.user import Role, User
from tests.bench.row import Row
from tests.conditions import until
from tests.hub import KEY, RunningHub
from tests.postgres import leave, server

AGENTS, WORKERS = 120, 3
AWAY = timedelta(seconds=60)  # since when they are gone: their grace windows are over

OPEN = text("SELECT count(*) FROM tasks WHERE finished_at IS NULL")
LOST = text("SELECT count(*) FROM tasks WHERE status <> 'cancelled'")
DOUBLED = text(
    "SELECT count(*) FROM (SELECT task_id FROM task_events WHERE event = 'cancelled' GROUP BY 1 HAVING count(*) > 1) d"
)
ONCE = text("SELECT count(DISTINCT task_id) FROM task_events WHERE event = 'cancelled'")


def rows() -> Iterator[Row]:
    """One row."""
    name = f"bench_{uuid.uuid4().hex[:8]}"
    _admin(f"CREATE DATABASE {name}")
    url = make_url(server()).set(database=name).render_as_string(hide_password=False)
    try:
        database.connect(url, [KEY])
        schema.upgrade(database.engine())
        _fall_silent()
        with RunningHub(url, workers=str(WORKERS)) as hub:
            for share in (0.9, 0.5):  # of the work is left when one is killed
                until(lambda left=AGENTS * share: _count(OPEN) <= left, "the work to be done", 240)  # type: ignore[misc]
                os.kill(hub.workers()[0], signal.SIGKILL)
            until(lambda: _count(OPEN) == 0, "all work to be done", 240)
        lost, doubled, once = _count(LOST), _count(DOUBLED), _count(ONCE)
    finally:
        database.dispose()
        _admin(f"DROP DATABASE {name} WITH (FORCE)")
        leave()
    detail = (
        f"{AGENTS} grace windows, {WORKERS} processes, 2 of them killed: {lost} lost, {doubled} doubled, {once} told of"
    )
    yield Row("due work after kill -9, lost and doubled", lost + doubled + (AGENTS - once), 0, detail)


def _admin(statement: str) -> None:
    engine = create_engine(server())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def _fall_silent() -> None:
    """Agents with a task each, whose sessions dropped long ago."""
    with transaction() as session:
        user = User.create(session, "bench@example.org", "Bench", Role.ADMIN)
        now = database_time(session)
        known = [registration.register(session, user, f"agent {number}", "desk", None, now) for number in range(AGENTS)]
        topic_ids = [one.topic.id for one in known]
        for one in known:
            Agent.subscribe(session, one.agent.id, "desk", uuid.uuid4().hex, None)
    for id in topic_ids:
        with transaction() as session:
            topic = Topic.locked(session, id)
            assert topic is not None
            topic.post(session, session.get_one(User, user.id), "work", database_time(session))
    with transaction() as session:
        session.execute(update(AgentSubscription).values(dropped_at=func.now() - AWAY))


def _count(query: object) -> int:
    with transaction() as session:
        return int(session.execute(query).scalar_one())  # type: ignore[call-overload]
