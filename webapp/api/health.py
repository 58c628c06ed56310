"""How the process is: alive, ready to serve, in figures. Asked by machines, without a token."""

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import flask
import gevent
import msgspec
import structlog
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from models import figures, schema
from models.base import database_time
from models.database import transaction
from models.errors import DatabaseAway, NotSignedIn
from models.process import Process
from models.user import Role
from webapp import auth, measure, metrics
from webapp.api.door import Calls
from webapp.hub import hub

T = TypeVar("T")

log = structlog.get_logger("health")

# Whoever asks wants to know now. A frozen database honours no timeout of its own.
SECONDS = 2.0
FORWARDING = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")

calls = Calls.named("health", prefix="")
newest = lru_cache(maxsize=1)(schema.newest)


class Health(msgspec.Struct):
    """The process answers."""

    alive: bool


class Readiness(msgspec.Struct):
    """Whether requests may be sent here, and which checks say no: database, migrations, timetable."""

    ready: bool
    failing: list[str]


@calls.open("/healthz", gives=Health)
def healthz() -> flask.Response:
    """200 while the process lives."""
    return _answer(Health(True), 200)


@calls.open("/readyz", gives=Readiness)
def readyz() -> flask.Response:
    """200 when the database answers, its migrations are current and the timetable runs; else 503 with what fails."""
    found = _in_time(lambda session: (schema.current(session.connection()),))
    failing = [] if found == (newest(),) else ["database" if found is None else "migrations"]
    failing += [] if hub().timetable_runs() else ["timetable"]
    if failing:
        log.warning("not_ready", failing=failing)
    return _answer(Readiness(not failing, failing), 503 if failing else 200)


@calls.open("/metrics")
def show_metrics() -> flask.Response:
    """Prometheus text: to this machine (not through a proxy), or to an admin's token."""
    if not _is_neighbour() and not _is_admin():
        sentence = "Figures are for this machine, or for an admin's access token.\n"
        return flask.Response(sentence, 403, mimetype="text/plain")
    here = hub()
    snapshots = {**_count_rows(), here.process_id or 0: measure.figures(here)}
    return flask.Response(metrics.render(dict(sorted(snapshots.items()))), content_type=CONTENT_TYPE_LATEST)


def _answer(shown: object, status: int) -> flask.Response:
    return flask.Response(msgspec.json.encode(shown), status, mimetype="application/json")


def _in_time(work: Callable[[Session], T]) -> T | None:
    """What `work` reads from the database; None when it does not answer in time."""
    limit = gevent.Timeout(SECONDS)
    limit.start()
    try:
        with transaction() as session:
            return work(session)
    except (DatabaseAway, SQLAlchemyError):
        return None
    except gevent.Timeout as reached:
        if reached is not limit:
            raise
        return None
    finally:
        limit.close()


def _is_neighbour() -> bool:
    try:
        peer = ipaddress.ip_address(flask.request.remote_addr or "")
    except ValueError:
        return False
    peer = getattr(peer, "ipv4_mapped", None) or peer
    return peer.is_loopback and not any(name in flask.request.headers for name in FORWARDING)


def _is_admin() -> bool:
    try:
        return auth.token().user.is_at_least(Role.ADMIN)
    except NotSignedIn:
        return False


def _count_rows() -> dict[int, metrics.Snapshot]:
    """Brings up to date what rows know; what each process has left on its row, by its id."""

    def read(session: Session) -> tuple[dict[str, int], dict[str, int], dict[int, metrics.Snapshot]]:
        now = database_time(session)
        snapshots = {one.id: one.holds.get("figures") or {} for one in Process.living(session, now)}
        return figures.open_tasks(session), figures.presence(session, now), snapshots

    tasks, presence, snapshots = _in_time(read) or ({}, {}, {})
    metrics.PROCESSES.set(len(snapshots))
    for gauge, counts in ((metrics.TASKS, tasks), (metrics.PRESENCE, presence)):
        gauge.clear()
        for name, count in counts.items():
            gauge.labels(name).set(count)
    return snapshots
