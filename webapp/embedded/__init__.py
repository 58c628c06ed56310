"""The keeper of the embedded Postgres: who may start it, adopt it, revive it and stop it.

               hub starts                          killed
    absent ----------------->  launched  ------------------->  revived by ensure()
    alive  ----------------->  adopted        hub stops  --->  fast shutdown, waited for
    silent (frozen, starting)  waited for, never doubled

Three locks in its home: `hub` for a hub's life, `users` (shared) by commands, `server` while starting or stopping.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
import structlog

from webapp.embedded.account import EmbeddedError
from webapp.embedded.home import ELSEWHERE, PORT, Home, settle
from webapp.embedded.lock import FileLock
from webapp.embedded.server import DATABASE, HUB, LAUNCH_SECONDS, STOP_SECONDS, Server

__all__ = ["Embedded", "EmbeddedError"]

log = structlog.get_logger(__name__)

DYING_SECONDS = 0.5  # a hub that was just killed lets go a moment later


class Embedded:
    """The database in one data folder, as the hub (`start`) or as a command beside it (`join`) uses it."""

    def __init__(
        self, data_dir: Path, *, settings: Mapping[str, str] | None = None, elsewhere: Path = ELSEWHERE
    ) -> None:
        """`settings` come on top of ours; `elsewhere` is where root keeps what its server cannot reach."""
        self.data_dir = Path(data_dir).expanduser().resolve()
        self.adopted = False
        self._settings = settings or {}
        self._elsewhere = elsewhere
        self._home: Home | None = None

    def start(self) -> str:
        """Be the hub: hold the data folder for the life of this process; the database's URL, once it answers.

        Raises EmbeddedError, a sentence: another hub is here, or no server can be had.
        """
        with self._transition() as home:
            if not self._hub.take(wait=DYING_SECONDS):
                raise EmbeddedError(
                    f"Another hub (process {self._hub.signature()}) already runs on the data folder {self.data_dir}. "
                    "Stop it first, or give this one a SWITCHYARD_DATA_DIR of its own."
                )
            try:
                self._hub.sign()
                self.adopted = self._server.bring_up()
                self._borrowed.unlink(missing_ok=True)
            except BaseException:
                self._hub.release()
                raise
        home.tidy_logs()
        log.info("database_adopted" if self.adopted else "database_started", folder=str(home.folder))
        return self.url

    def join(self) -> str:
        """Be a command beside the hub: the URL of the server that runs, or of one that the last command stops again."""
        deadline = time.monotonic() + LAUNCH_SECONDS
        while not self._try_join():
            if time.monotonic() >= deadline:
                raise EmbeddedError(f"The hub on {self.data_dir} runs, but its database does not answer.")
            time.sleep(0.05)
        return self.url

    @contextlib.contextmanager
    def joined(self) -> Iterator[str]:
        """`join` for the length of a block."""
        url = self.join()
        try:
            yield url
        finally:
            self.stop()

    def stop(self) -> bool:
        """Leave; True when that stopped the server, which then is really gone.

        A hub always stops it. A command does when commands started it and no other still uses it. Never raises.
        """
        if self._home is None or not (self._hub.held or self._users.held):
            return False
        try:
            with self._transition():
                ours = self._hub.held or (self._borrowed.exists() and self._users.take())
                if ours:
                    self._server.shut_down()
                    self._borrowed.unlink(missing_ok=True)
                return ours
        except EmbeddedError as error:
            log.error("database_not_stopped", reason=str(error))
            return False
        finally:
            self._users.release()
            self._hub.release()

    def alive(self) -> bool:
        """Whether the server answers a query within about two seconds."""
        try:
            return self._home is not None and self._server.alive()
        except (EmbeddedError, OSError):
            return False

    def ensure(self) -> bool:
        """For the hub, every second or two: whether the server answers, after starting it again if its process is gone.

        Never raises; a frozen server, or one that somebody else is starting, is left alone and reported as False.
        """
        if self._home is None or not self._hub.held:
            return False
        if self.alive():
            self._home.tidy_logs()
            return True
        try:
            with self._transition(wait=0.0):
                return self._revive()
        except EmbeddedError as error:
            log.error("database_not_revived", reason=str(error))
            return False

    @property
    def url(self) -> str:
        """The hub's URL. Spaces are %20 and never "+", which libpq would not read back."""
        home = self._settled()
        host = quote(str(home.socket_folder()), safe="")
        return f"postgresql+psycopg://{HUB}:{home.password(HUB)}@/{DATABASE}?host={host}&port={PORT}"

    @property
    def folder(self) -> Path:
        """Where the database really is: inside the data folder, or outside when its server cannot get there."""
        return self._settled().folder

    def _try_join(self) -> bool:
        with self._transition():
            hub_runs = not self._hub.take()
            self._hub.release()
            if hub_runs and not self._server.alive():
                return False  # the hub is about to revive it
            self._users.take(shared=True)
            try:
                self.adopted = self._server.bring_up()
            except BaseException:
                self._users.release()
                raise
            if not self.adopted:
                self._borrowed.touch()
            return True

    def _revive(self) -> bool:
        if not self._hub.held:  # stopped meanwhile
            return False
        if self._server.postmaster():
            if not self._server.deaf():  # frozen, starting or stopping: never a second one
                return False
            self._server.shut_down()
        self._server.bring_up()
        log.warning("database_revived", folder=str(self._settled().folder))
        return True

    def _settled(self) -> Home:
        """The home, found at first use."""
        if self._home is None:
            home = settle(self.data_dir, self._elsewhere)
            self._server = Server(home, self._settings, self._elsewhere)
            self._hub, self._users = FileLock(home.folder / "hub.lock"), FileLock(home.folder / "users.lock")
            self._borrowed = home.folder / "borrowed"  # a server that commands started and no hub has adopted
            self._home = home
        return self._home

    @contextlib.contextmanager
    def _transition(self, wait: float = LAUNCH_SECONDS + STOP_SECONDS) -> Iterator[Home]:
        """Alone in starting and stopping. A new lock object each time, so that greenlets exclude each other too."""
        try:
            home = self._settled()
            lock = FileLock(home.folder / "server.lock")
            if not lock.take(wait=wait):
                raise EmbeddedError(f"Another process is starting or stopping the database in {self.data_dir}.")
            try:
                yield home
            finally:
                lock.release()
        except psycopg.Error as error:
            raise EmbeddedError(f"The embedded database failed while it started: {str(error).strip()}") from error
        except OSError as error:
            place = error.filename or self.data_dir
            raise EmbeddedError(f"The embedded database cannot use {place}: {error.strerror}.") from error
