"""The front door: patches gevent first of all, then configures, starts, and stops in the reverse order.

database -> schema -> app -> streams, sockets, timetable -> the listening socket
"""

from gevent import monkey

monkey.patch_all()

# Everything below is imported patched, or it would block every socket.
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
from webapp import logs
from webapp.app import create_app
from webapp.config import Config, ConfigError
from webapp.embedded import Embedded, EmbeddedError
from webapp.hub import EXTENSION, Hub
from webapp.server import Server, listen, raise_file_limit

log = structlog.get_logger("hub")

# No request waits longer than this for the database, whatever state the server is in.
DATABASE_SECONDS = 6.0
START_SECONDS = 30.0
KEEP_SECONDS = 2.0


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


def introduce(config: Config) -> tuple[int, str | None]:
    """This process's row, and the path of the set-up link while there is no account. Raises CannotStart."""
    with transaction() as session:
        now = database_time(session)
        process = Process.start(session, now)
        if User.any(session):
            return process.id, None
        if not config.is_loopback:
            raise CannotStart(
                f"There is no account yet, and {config.host} can be reached from elsewhere. "
                "Make the first one with: switchyard user create EMAIL --name NAME --admin --password-stdin"
            )
        return process.id, f"/set-up/{OneTimeLink.set_up(session, now)}"


def keep(hub: Hub, embedded: Embedded | None) -> None:
    """Says that this process lives, and starts an embedded database that was killed again."""
    while True:
        gevent.sleep(KEEP_SECONDS)
        if embedded is not None:
            embedded.ensure()
        try:
            with transaction() as session:
                Process.beat(session, hub.process_id or 0, database_time(session))
        except DatabaseAway:
            log.warning("database_away", process=hub.process_id)


def serve(config: Config, embedded: Embedded | None, url: str) -> None:
    """Runs the hub until somebody stops it."""
    database.connect(url, config.secret_keys, config.rules, deadline)
    bring_up_schema()
    process_id, set_up = introduce(config)
    listener = listen(config.host, config.port)
    config = config.listening_on(listener.getsockname()[1])
    app = create_app(config, url)
    hub: Hub = app.extensions[EXTENSION]
    timetable = Timetable(config.rules)
    hub.process_id, hub.timetable_runs = process_id, timetable.runs

    hub.streams.start()
    hub.sockets.start()
    timetable.start()
    keeper = gevent.spawn(keep, hub, embedded)
    keeper.name = "keeper"
    server = Server(listener, app)
    server.start()
    print(f"Switchyard is ready at {config.public_url}", flush=True)
    if set_up is not None:
        print(f"Make the first account here (the link works once): {config.public_url}{set_up}", flush=True)
    try:
        wait_for_a_signal(embedded)
    finally:
        log.info("stopping")
        timetable.stop()
        server.stop(goodbye=hub.sockets.close_all)
        hub.sockets.stop()
        hub.streams.stop()
        keeper.kill()
        say_goodbye(process_id)
        database.dispose()


def wait_for_a_signal(embedded: Embedded | None) -> None:
    """Until SIGTERM or SIGINT; a second one waits for nobody but the embedded database."""
    asked = Event()

    def hurry() -> None:
        if embedded is not None:
            embedded.stop()
        os._exit(1)

    def stop() -> None:
        if asked.is_set():
            gevent.spawn(hurry)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop)
    asked.wait()


def say_goodbye(process_id: int) -> None:
    """Takes this process's row out."""
    try:
        with transaction() as session:
            Process.stop(session, process_id)
    except DatabaseAway:
        log.warning("database_away", process=process_id)


def main() -> int:
    """The exit code."""
    logs.set_up()
    embedded = None
    try:
        config = Config.from_env(os.environ)
        raise_file_limit()
        if config.database_url is None:
            embedded = Embedded(config.data_dir)
        serve(config, embedded, embedded.start() if embedded else str(config.database_url))
        return 0
    except (ConfigError, EmbeddedError, CannotStart, DatabaseAway) as error:
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
