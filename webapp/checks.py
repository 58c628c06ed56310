"""What a hub can be checked for, by its settings and its rows: pass, warn or fail, and the fix; on page and terminal.

What only the command can look at (whether the database is there at all) is in `webapp/doctor.py`.
"""

import os
import resource
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from models import figures, gateway_reading, schema
from models.gateway_states import GatewayState
from models.process import Process
from webapp import gateway_words
from webapp.config import Config
from webapp.environment import PREFIX
from webapp.secret_key import NAME
from webapp.words import span

Level = Literal["pass", "warn", "fail"]
OLDEST_SERVER = 14
MEGABYTE = 1 << 20
LITTLE_DISK, NO_DISK = 1024 * MEGABYTE, 200 * MEGABYTE
FEW_FILES = 4096
KEY_AGE = timedelta(days=365)
CLOCK_WARN, CLOCK_FAIL = 2.0, 60.0
QUEUE_WARN, QUEUE_FAIL = 0.1, 0.5
LATE_JOB = timedelta(seconds=60)
MOST_GATEWAYS = 200
# Nobody reads a cookie or a password on the way from this machine to itself.
LOCAL = ("http://127.0.0.1", "http://localhost", "http://[::1]")


@dataclass(frozen=True)
class Check:
    """One check: its result in words and, when it is not fine, what to do."""

    name: str
    level: Level
    text: str
    fix: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing has to be done at once."""
        return self.level != "fail"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "ok": self.ok}


def passed(name: str, text: str, fix: str | None = None) -> Check:
    """A check that is fine."""
    return Check(name, "pass", text, fix)


def of_settings(config: Config) -> Iterator[Check]:
    """What the settings, the machine and the data folder tell."""
    yield _names(config)
    yield _folder(config)
    yield _key(config)
    yield _disk(config)
    yield _files()
    yield _origins(config)
    yield _tls(config)


def of_rows(session: Session, now: datetime, config: Config) -> Iterator[Check]:
    """What the database tells of itself, and of everything that writes its rows there."""
    yield _clock(now)
    yield from _server(session, config)
    yield _queue(session)
    yield _migrations(session)
    processes = Process.living(session, now)
    yield _processes(processes)
    yield from _timetable(processes, now)
    yield from _gateways(session, config)
    yield _plugins(session, now)


# -- settings and machine --------------------------------------------------------------------------------------------


def _names(config: Config) -> Check:
    if not config.unread:
        return passed("settings", "All are understood.")
    named = ", ".join(config.unread)
    return Check("settings", "fail", f"Nobody reads {named}.", "Check the spelling against the list of settings.")


def _folder(config: Config) -> Check:
    folder = config.data_dir
    if not folder.is_dir():
        return passed("data folder", f"{folder} is not there yet; the first start makes it.")
    if os.access(folder, os.W_OK | os.X_OK):
        return passed("data folder", f"{folder} can be written.")
    fix = f"Let this user write there: chmod u+w {folder}"
    return Check("data folder", "fail", f"{folder} cannot be written.", fix)


def _key(config: Config) -> Check:
    source = config.sources[PREFIX + "SECRET_KEY"]
    file = config.data_dir / NAME
    where = str(file) if source == "file" else f"{PREFIX}SECRET_KEY"
    more = len(config.secret_keys) - 1
    older = "" if more == 0 else f", with {more} older {'one' if more == 1 else 'ones'}"
    said = f"It comes from {where}{older}."
    try:
        made = datetime.fromtimestamp(file.stat().st_mtime, UTC) if source == "file" else None
    except OSError:
        made = None
    if made is not None and datetime.now(UTC) - made > KEY_AGE:
        fix = "Put a new key first and leave the old one behind a comma in SWITCHYARD_SECRET_KEY."
        return Check("secret key", "warn", f"{said} It is older than a year.", fix)
    return passed("secret key", said)


def size(bytes: int) -> str:
    """ "812 MB", "72 GB"."""
    return f"{bytes // MEGABYTE:,} MB" if bytes < 10_000 * MEGABYTE else f"{bytes // (1000 * MEGABYTE):,} GB"


def _disk(config: Config) -> Check:
    folder = next((place for place in (config.data_dir, *config.data_dir.parents) if place.is_dir()), None)
    free = shutil.disk_usage(folder or "/").free
    said = f"{size(free)} are free where the data is."
    fix = "Make room, or move SWITCHYARD_DATA_DIR to a larger disk."
    if free < NO_DISK:
        return Check("disk", "fail", said, fix)
    return Check("disk", "warn", said, fix) if free < LITTLE_DISK else passed("disk", said)


def _files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else max(soft, FEW_FILES)
    said = f"{most:,} files may be open; each socket is one."
    if most < FEW_FILES:
        return Check("open files", "warn", said, f"Raise the limit to {FEW_FILES:,} or more (LimitNOFILE, ulimit -Hn).")
    return passed("open files", said)


def _origins(config: Config) -> Check:
    more = f", and {', '.join(config.allowed_origins)}" if config.allowed_origins else ""
    return passed("origins", f"Browsers may open sockets from {config.public_url}{more}.")


def _tls(config: Config) -> Check:
    if config.secure_cookies:
        return passed("TLS", "People come over https; cookies are kept off plain http.")
    if config.public_url.startswith(LOCAL):
        return passed("TLS", "People come from this machine only; nothing is read on the way.")
    fix = "Put a proxy with a certificate in front, and set SWITCHYARD_PUBLIC_URL to its https address."
    return Check("TLS", "warn", "Passwords and cookies cross the network as they are.", fix)


# -- database and rows -----------------------------------------------------------------------------------------------


def _clock(now: datetime) -> Check:
    apart = abs(time.time() - now.timestamp())
    if apart < CLOCK_WARN:
        return passed("clock", "This machine and the database agree on the time.")
    fix = "Let both machines follow a time server. The database's clock is the one that counts."
    said = f"This machine and the database are {apart:.0f} s apart."
    return Check("clock", "fail" if apart > CLOCK_FAIL else "warn", said, fix)


def _server(session: Session, config: Config) -> Iterator[Check]:
    version = str(session.scalar(text("SHOW server_version")))
    number = int(session.scalar(text("SHOW server_version_num")) or 0)
    kind = "The embedded Postgres" if config.database_url is None else "Postgres"
    if number < OLDEST_SERVER * 10000:
        yield Check("database", "fail", f"{kind} is version {version}.", f"Use Postgres {OLDEST_SERVER} or newer.")
    else:
        yield passed("database", f"{kind} {version} answers.")
    told: Any = session.connection().connection.driver_connection
    if told is not None and told.info.backend_pid != session.scalar(select(func.pg_backend_pid())):
        fix = "Connect to the server itself, or let the pooler work by session: LISTEN needs a session of its own."
        yield Check("pooler", "fail", "A pooler stands between, and gives each transaction another session.", fix)


def _queue(session: Session) -> Check:
    used = float(session.scalar(select(func.pg_notification_queue_usage())) or 0)
    said = f"{used:.0%} of the database’s notification queue is used."
    if used < QUEUE_WARN:
        return passed("notifications", said)
    fix = "Some session listens and never reads. Find it in pg_stat_activity (LISTEN) and end it."
    return Check("notifications", "fail" if used > QUEUE_FAIL else "warn", said, fix)


def _migrations(session: Session) -> Check:
    found = schema.current(session.connection())
    if found == schema.newest():
        return passed("migrations", f"The schema is current ({found}).")
    said = f"The schema is {found}, this program wants {schema.newest()}."
    return Check("migrations", "fail", said, "switchyard migrate")


def _processes(processes: list[Process]) -> Check:
    if not processes:
        return passed("processes", "No hub runs on this database now.")
    named = ", ".join(f"pid {one.pid} on {one.host}" for one in processes)
    return passed("processes", f"{len(processes)} of this hub: {named}.")


def _timetable(processes: list[Process], now: datetime) -> Iterator[Check]:
    """Each job once, by the process that ran it last: any of them may."""
    newest: dict[str, dict[str, Any]] = {}
    for process in processes:
        for line in process.holds.get("timetable") or ():
            known = newest.get(line["job"])
            if known is None or (line["last_run_at"] or "") > (known["last_run_at"] or ""):
                newest[line["job"]] = line
    for name, line in sorted(newest.items()):
        yield _job(f"job {name}", line, now)


def _job(name: str, line: dict[str, Any], now: datetime) -> Check:
    fix = "The log says why: look for job_failed with this name."
    every = line["every_seconds"]
    if line["last_error"]:
        return Check(name, "fail", f"It failed: {line['last_error']}.", fix)
    if line["last_run_at"] is None:
        return Check(name, "warn", "It has not run yet.", "It runs at the start; if this stays, restart the hub.")
    at = datetime.fromisoformat(line["last_run_at"])
    took = f"{line['last_seconds'] * 1000:.0f} ms" if line["last_seconds"] is not None else "unknown"
    said = f"Last run {at:%H:%M:%S} UTC, took {took}, every {span(timedelta(seconds=every))}."
    late = now - at > timedelta(seconds=3 * every) + LATE_JOB
    return Check(name, "warn", f"Late. {said}", "The process may be busy or frozen.") if late else passed(name, said)


def _gateways(session: Session, config: Config) -> Iterator[Check]:
    rows = gateway_reading.by_name(session)
    if not rows:
        yield passed("gateways", "No gateway is set up.")
    for row in rows[:MOST_GATEWAYS]:
        yield _gateway(row, config)


def _gateway(row: Any, config: Config) -> Check:
    name = f"gateway {row.name}"
    found = gateway_words.trouble(row, config.public_url)
    if found is not None:
        return Check(name, "fail" if row.state == GatewayState.ERROR else "warn", f"{found.heading}.", found.whole_fix)
    if row.state != GatewayState.RUNNING:
        return passed(name, f"It is {row.state}." if not row.reason else f"It is {row.state}: {row.reason}")
    return passed(name, f"Connected, protocol {row.protocol or 'unknown'}, version {row.version or 'unknown'}.")


def _plugins(session: Session, now: datetime) -> Check:
    counts = figures.presence(session, now)
    said = f"{counts.get('live', 0)} sessions are connected, {counts.get('dropped', 0)} are in their grace window."
    return passed("plugins", said)
