"""The front door: patches gevent first of all, then configures, starts, and stops in the reverse order.

database -> schema -> the listening socket -> one process:  app -> streams, sockets, timetable -> ready
                                           -> several:      parent -> workers, each as above   -> ready
"""

from gevent import monkey

monkey.patch_all()

# What is imported stays: to look for garbage in it took a quarter of a start. `collector` goes on with it.
import gc

gc.disable()

# Everything below is imported patched, or it would block every socket.
import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import structlog
from gevent.event import Event
from sqlalchemy.exc import OperationalError

from jobs.timetable import Timetable
from models import database, schema
from models.base import database_time
from models.database import transaction
from models.errors import DatabaseAway
from models.one_time_link import OneTimeLink
from models.process import Process
from models.user import User
from webapp import collector, logs
from webapp.app import create_app
from webapp.config import Config, ConfigError
from webapp.embedded import Embedded, EmbeddedError
from webapp.hub import EXTENSION, Hub
from webapp.parent import Lifeline, Parent, WorkersFailed
from webapp.server import Server, listen, raise_file_limit

log = structlog.get_logger("hub")

# No request waits longer than this for the database, whatever state the server is in.
DATABASE_SECONDS = 6.0
START_SECONDS = 30.0
KEEP_SECONDS = 2.0
BEAT_SECONDS = 5.0
# A parent that was killed: its workers still hold the port until they have said goodbye.
PORT_SECONDS = 10.0
ORPHAN_SECONDS = 15
# What the embedded server must bear: a process has 15 connections at most and one that listens.
CONNECTIONS_EACH = 16


class CannotStart(Exception):
    """A sentence that says why the hub does not start, and what to do."""


@contextmanager
def deadline() -> Iterator[None]:
    """Ends a transaction that waits too long on our side: a frozen server honours no timeout of its own."""
    limit = gevent.Timeout(DATABASE_SECONDS)
    limit.start()
    try:
        yield
    except gevent.Timeout as reached:
        if reached is not limit:
            raise
        raise DatabaseAway from None
    finally:
        limit.close()


def bring_up_schema() -> None:
    """Migrates, once the database answers. Raises CannotStart when it does not in half a minute."""
    with gevent.Timeout(START_SECONDS, CannotStart("The database does not answer. Check SWITCHYARD_DATABASE_URL.")):
        while True:
            try:
                schema.upgrade(database.engine())
                return
            except OperationalError as error:
                log.warning("database_not_there_yet", error=type(error.orig).__name__)
                gevent.sleep(0.5)


def introduce(config: Config) -> str | None:
    """The path of the set-up link while there is no account. Raises CannotStart."""
    with transaction() as session:
        if User.any(session):
            return None
        if not config.is_loopback:
            raise CannotStart(
                f"There is no account yet, and {config.host} can be reached from elsewhere. "
                "Make the first one with: switchyard user create EMAIL --name NAME --admin --password-stdin"
            )
        return f"/set-up/{OneTimeLink.set_up(session, database_time(session))}"


def serve(config: Config, embedded: Embedded | None, url: str) -> None:
    """Runs the hub until somebody stops it."""
    database.connect(url, config.secret_keys, config.rules, deadline)
    bring_up_schema()
    set_up = introduce(config)
    listener = open_port(config)
    config = config.listening_on(listener.getsockname()[1])

    def welcome() -> None:
        print(f"Switchyard is ready at {config.public_url}", flush=True)
        if set_up is not None:
            print(f"Make the first account here (the link works once): {config.public_url}{set_up}", flush=True)

    if config.workers == 1:
        work(config, url, listener, welcome, embedded)
    else:
        database.dispose()
        lead(config, listener, welcome, embedded)


def open_port(config: Config) -> Any:
    """The listening socket, opened once for all processes."""
    ends = time.monotonic() + (PORT_SECONDS if config.workers > 1 else 0)
    while True:
        try:
            return listen(config.host, config.port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= ends:
                raise
        gevent.sleep(0.1)


def lead(config: Config, listener: Any, welcome: Callable[[], None], embedded: Embedded | None) -> None:
    """Keeps the workers and the embedded database alive until somebody stops the hub; serves nothing itself."""
    parent = Parent([sys.executable, os.path.abspath(__file__)], config.workers, listener)
    keeper = None
    try:
        parent.start()
        if embedded is not None:
            keeper = gevent.spawn(keep_database, embedded)
        asked = signals(embedded, parent.kill)
        collector.leave_alone_what_is_there()
        welcome()
        asked.wait()
    finally:
        log.info("stopping", workers=len(parent.pids()))
        parent.stop()
        if keeper is not None:
            keeper.kill()


def work(
    config: Config,
    url: str,
    listener: Any,
    welcome: Callable[[], None],
    embedded: Embedded | None = None,
) -> None:
    """Serves on the listener until the process is asked to end; calls `welcome` when it accepts."""
    with transaction() as session:
        process_id = Process.start(session, database_time(session)).id
    app = create_app(config, url)
    hub: Hub = app.extensions[EXTENSION]
    timetable = Timetable(config.rules, hub.fleet)
    hub.process_id, hub.timetable_runs = process_id, timetable.runs
    hub.holds["timetable"] = timetable.shown

    hub.streams.start()
    hub.fleet.start(process_id)
    hub.sockets.start()
    timetable.start()
    keepers = [gevent.spawn(keep_row, hub)]
    if embedded is not None:
        keepers.append(gevent.spawn(keep_database, embedded))
    server = Server(listener, app, shared=config.workers > 1)
    asked = signals(embedded)
    server.start()
    collector.leave_alone_what_is_there()
    welcome()
    try:
        asked.wait()
    finally:
        log.info("stopping")
        timetable.stop()
        hub.fleet.stop()
        server.stop(goodbye=hub.sockets.close_all)
        hub.sockets.stop()
        hub.streams.stop()
        gevent.killall(keepers)
        say_goodbye(process_id)
        database.dispose()


def keep_row(hub: Hub) -> None:
    """Says that this process lives, and what it alone knows."""
    while True:
        try:
            held = hub.held()
            with transaction() as session:
                now = database_time(session)
                if not Process.beat(session, hub.process_id or 0, now, held):
                    Process.start(session, now, hub.process_id)
        except DatabaseAway:
            log.warning("database_away", process=hub.process_id)
        gevent.sleep(BEAT_SECONDS)


def keep_database(embedded: Embedded) -> None:
    """Starts an embedded database that was killed again."""
    while True:
        gevent.sleep(KEEP_SECONDS)
        embedded.ensure()


def signals(embedded: Embedded | None, hurry: Callable[[], None] = lambda: None) -> Event:
    """Set by SIGTERM or SIGINT from now on; a second one waits for nobody but the embedded database."""
    asked = Event()

    def end_at_once() -> None:
        hurry()
        if embedded is not None:
            embedded.stop()
        os._exit(1)

    def stop() -> None:
        if asked.is_set():
            gevent.spawn(end_at_once)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop)
    return asked


def say_goodbye(process_id: int) -> None:
    """Takes this process's row out."""
    try:
        with transaction() as session:
            Process.stop(session, process_id)
    except DatabaseAway:
        log.warning("database_away", process=process_id)


def help_out(config: Config, lifeline: Lifeline) -> None:
    """Is one of several processes, for as long as the parent lives. Ctrl-C is for the parent, which passes it on."""

    def end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.alarm(ORPHAN_SECONDS)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lifeline.watch(end)
    url = config.database_url or Embedded(config.data_dir).url
    database.connect(url, config.secret_keys, config.rules, deadline)
    bring_up_schema()
    listener = lifeline.listener
    work(config.listening_on(listener.getsockname()[1]), url, listener, lifeline.ready)


def end_early(number: int, _frame: object) -> None:
    """Asked to end while still starting: what was started until now is stopped on the way out."""
    sys.exit(128 + number)


def main() -> int:
    """The exit code."""
    logs.set_up()
    embedded = None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end_early)
    try:
        lifeline = Lifeline.inherited(sys.argv[1:])
        config = Config.from_env(os.environ)
        raise_file_limit()
        if lifeline is not None:
            help_out(config, lifeline)
            return 0
        if config.database_url is None:
            settings = {"max_connections": str(max(100, 20 + CONNECTIONS_EACH * config.workers))}
            embedded = Embedded(config.data_dir, settings=settings)
        serve(config, embedded, embedded.start() if embedded else str(config.database_url))
        return 0
    except (ConfigError, EmbeddedError, CannotStart, WorkersFailed, DatabaseAway) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Cannot listen: {error.strerror or error}. Choose another SWITCHYARD_PORT.", file=sys.stderr)
        return 1
    finally:
        if embedded is not None:
            embedded.stop()


if __name__ == "__main__":
    sys.exit(main())
