"""The server process of one embedded database: looked at, launched, waited for, shut down. When, is decided above."""

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from webapp.embedded import binaries, cluster
from webapp.embedded.account import EmbeddedError
from webapp.embedded.binaries import Binaries
from webapp.embedded.cluster import KEEPER
from webapp.embedded.home import PORT, Home
from webapp.embedded.postmaster import Postmaster, find, gone, pid_file

HUB, DATABASE = "hub", "switchyard"  # the role that owns the hub's database, and that database
LAUNCH_SECONDS = 60.0  # recovery after a crash takes a few
FROZEN_SECONDS = 5.0  # how long we hope that somebody continues a frozen server
IN_USE_SECONDS = 10.0  # how long the children of a killed server may finish what they do
STOP_SECONDS = 30.0  # a fast shutdown; an immediate one gets as long again
ASK_SECONDS = 2


class Server:
    """The server of one home. Callers of the verbs that change something hold the home's lock around them."""

    def __init__(self, home: Home, settings: Mapping[str, str], elsewhere: Path) -> None:
        self.home = home
        self._settings = settings
        self._elsewhere = elsewhere
        self._child: subprocess.Popen[bytes] | None = None

    def alive(self) -> bool:
        """Whether it answers a query within about two seconds."""
        return self._answers(KEEPER, "postgres")

    def postmaster(self) -> Postmaster | None:
        """Its living process."""
        if self._child is not None:
            self._child.poll()  # collect what has ended: a zombie keeps its pid
        return find(self.home.cluster)

    def bring_up(self) -> bool:
        """Make it answer, with the hub's role and database in it; True when no process had to be started for that."""
        found = True
        while not self.alive():
            if self.postmaster() is None:
                self._launch()
                found = False
            self._await_answer()
        self._prepare()
        return found

    def deaf(self) -> bool:
        """Whether it runs but its socket is gone, as when somebody emptied /tmp: it will never answer again."""
        postmaster = self.postmaster()
        ready = postmaster is not None and postmaster.status == "ready" and not postmaster.frozen
        return ready and not self.home.socket.exists()

    def shut_down(self) -> None:
        """What `pg_ctl stop -m fast` does, but only ever to the process that was proven to be this server."""
        postmaster = self.postmaster()
        if postmaster is None:
            return
        family = postmaster.family()
        postmaster.end()
        if not gone(family, STOP_SECONDS):
            postmaster.end(at_once=True)
            if not gone(family, STOP_SECONDS):
                raise EmbeddedError(f"The embedded database (process {postmaster.process.pid}) does not stop.")
        self.postmaster()

    def _launch(self) -> None:
        """Start the process, whose absence the caller has seen, and wait until it answers."""
        found = binaries.server(self.home.made_by)
        found = binaries.within_reach(found, self.home.account, self._elsewhere)
        if self.home.made_by is None:
            cluster.make(self.home, found)
        # Whoever has the old pid now would pass for a server. That two serve one cluster, their shared memory forbids.
        for stale in (pid_file(self.home.cluster), self.home.socket.with_name(f"{self.home.socket.name}.lock")):
            stale.unlink(missing_ok=True)
        deadline = time.monotonic() + IN_USE_SECONDS
        try:
            while not self._spawned(found):
                words = self.home.last_words()
                if "still in use" not in words or time.monotonic() >= deadline:
                    raise EmbeddedError(f"The embedded database did not start: {words}")
                time.sleep(0.1)
        except BaseException:  # Ctrl-C while we wait: leave nothing behind
            self.shut_down()
            raise

    def _spawned(self, binaries: Binaries) -> bool:
        log = os.open(self.home.start_log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            # A session of its own: Ctrl-C in the terminal is for the hub, which then stops the server itself.
            self._child = subprocess.Popen(  # noqa: S603 - a list, no shell
                cluster.command(self.home, binaries, self._settings),
                **self.home.account.spawn_options(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)
        return self._await_answer(self._child)

    def _await_answer(self, child: subprocess.Popen[bytes] | None = None) -> bool:
        """True once it answers, False when its process ended instead; raises EmbeddedError when it does neither."""
        begun = time.monotonic()
        while not self.alive():
            postmaster = self.postmaster()
            ended = child.returncode is not None if child else postmaster is None
            if ended:
                return False
            waited = time.monotonic() - begun
            if postmaster and postmaster.frozen and waited > FROZEN_SECONDS:
                pid = postmaster.process.pid
                raise EmbeddedError(f"The embedded database (process {pid}) is frozen. Continue it: kill -CONT {pid}")
            if waited > LAUNCH_SECONDS:
                raise EmbeddedError(f"The database in {self.home.folder} does not answer: {self.home.last_words()}")
            time.sleep(0.02)
        return True

    def _prepare(self) -> None:
        """See that the hub's role and database are there. The role is no superuser: it cannot reach the machine."""
        if self._answers(HUB, DATABASE):
            return
        role, database = sql.Identifier(HUB), sql.Identifier(DATABASE)
        with self._connect(KEEPER, "postgres") as connection:
            words = self.home.password(HUB).encode()
            secret = connection.pgconn.encrypt_password(words, HUB.encode(), b"scram-sha-256").decode()
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [HUB]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(role))
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, secret))
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))

    def _connect(self, role: str, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.home.socket_folder()),
            port=PORT,
            user=role,
            password=self.home.password(role),
            dbname=database,
            connect_timeout=ASK_SECONDS,
            autocommit=True,
        )

    def _answers(self, role: str, database: str) -> bool:
        try:
            with contextlib.closing(self._connect(role, database)) as connection:
                return _ask(connection.pgconn)
        except psycopg.OperationalError as error:
            if role == KEEPER and "password authentication failed" in str(error):
                raise EmbeddedError(
                    f"The embedded database refuses the password in {self.home.password_file(KEEPER)}: "
                    "the file was lost or changed; put the old one back."
                ) from error
            return False


def _ask(connection: psycopg.pq.abc.PGconn) -> bool:
    """One query with a limit of our own: what is frozen between connecting and answering must not hold us."""
    connection.send_query(b"SELECT 1")
    connection.flush()
    ear = select.poll()
    ear.register(connection.socket, select.POLLIN)
    deadline = time.monotonic() + ASK_SECONDS
    while connection.is_busy():
        if not ear.poll(max(0.0, deadline - time.monotonic()) * 1000):
            return False
        connection.consume_input()
    result = connection.get_result()
    return result is not None and result.status == psycopg.pq.ExecStatus.TUPLES_OK
