"""Subscribe and unsubscribe through our own code, beside pgbench calling the same two functions of the database."""

import os
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from statistics import median

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url

from models import database, registration, schema
from models.base import database_time
from models.user import Role, User
from tests.bench.process import ROOT
from tests.bench.row import Row
from tests.postgres import leave, server
from webapp.embedded import binaries

AGENTS, CLIENTS, SECONDS, TURNS = 100, 8, 3, 5
MARK = 0.35  # the same as measured for one function called through an ORM's connection

SCRIPT = """
\\set agent random(:first, :last)
\\set token random(1, 1000000000000)
SELECT was_away FROM subscribe_agent(:agent, 's' || :client_id, 't' || :token, 1, 45, true);
SELECT still_routable FROM unsubscribe_agent('t' || :token, 45);
"""


def rows() -> Iterator[Row]:
    """One row."""
    name = f"bench_{uuid.uuid4().hex[:8]}"
    _admin(f"CREATE DATABASE {name}")
    url = make_url(server()).set(database=name)
    try:
        owner, first, last = _prepare(url)
        pairs = [(_pgbench(url, first, last), _ours(url, owner, first, last)) for _ in range(TURNS)]
        ratio = median(ours / pgbench for pgbench, ours in pairs)
        rates = [f"{median(pair[side] for pair in pairs):,.0f}/s" for side in (1, 0)]
        detail = f"ours {rates[0]}, pgbench {rates[1]}; {AGENTS} agents, {CLIENTS} clients, both notify, {TURNS} turns"
        yield Row("subscribe + unsubscribe, of pgbench's rate", ratio, MARK, detail, at_least=True)
    finally:
        database.dispose()
        _admin(f"DROP DATABASE {name} WITH (FORCE)")
        leave()


def _admin(statement: str, url: str | URL | None = None) -> None:
    engine = create_engine(url or server())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def _prepare(url: URL) -> tuple[int, int, int]:
    database.connect(url.render_as_string(hide_password=False), ["bench"])
    schema.upgrade(database.engine())
    with database.transaction() as session:
        user = User.create(session, "bench@example.org", "Bench", Role.MEMBER)
        now = database_time(session)
        ids = [registration.register(session, user, f"agent {n}", "s", None, now).agent.id for n in range(AGENTS)]
        return user.id, min(ids), max(ids)


def _pgbench(url: URL, first: int, last: int) -> float:
    _clear(url)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(SCRIPT)
        script.flush()
        environment = {**os.environ, "PGPASSWORD": url.password or ""}
        words = ["-h", str(url.query["host"]), "-U", str(url.username), "-p", str(url.query.get("port", 5432))]
        limits = ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(SECONDS)]
        range_ = ["-D", f"first={first}", "-D", f"last={last}"]
        found = subprocess.run(
            [str(binaries.server() / "pgbench"), *words, *limits, *range_, "-f", script.name, str(url.database)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    tps = re.search(r"^tps = ([\d.]+)", found.stdout, re.MULTILINE)
    if tps is None:
        raise SystemExit(found.stderr)
    return float(tps[1])


def _clear(url: URL) -> None:
    """Both sides begin alike: the server of the tests never vacuums, and each turn leaves tens of thousands of rows."""
    _admin("TRUNCATE agent_subscriptions, activity", url)
    _admin("VACUUM FULL agents", url)


def _ours(url: URL, *numbers: int) -> float:
    _clear(url)
    environment = {**os.environ, "BENCH_URL": url.render_as_string(hide_password=False)}
    command = [sys.executable, "-m", "tests.bench.presence_ours", *map(str, numbers)]
    return float(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout)
