"""The server process of one embedded database: looked at, launched, waited for, shut down. Who may do so is decided above."""

import contextlib
import enum
import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from webapp import embedded_binaries
from webapp.embedded_account import EmbeddedError
from webapp.embedded_binaries import Binaries
from webapp.embedded_home import PORT, Home, remove_half_made
from webapp.embedded_postmaster import Postmaster, find, pid_file

KEEPER, HUB = "keeper", "hub"  # roles: the superuser that only this file uses, and the owner of the hub's database
DATABASE = "switchyard"
LAUNCH_SECONDS = 60.0  # recovery after a crash takes a few
FROZEN_SECONDS = 5.0  # how long we hope that somebody continues a frozen server
IN_USE_SECONDS = 10.0  # how long the children of a killed server may finish what they do
STOP_SECONDS = 60.0
ASK_SECONDS = 2
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    # Logs hold no statement and no DETAIL: both repeat what people wrote.
    "logging_collector": "on",
    "log_filename": "postgres-%Y%m%d-%H%M%S.log",
    "log_rotation_size": "5MB",
    "log_rotation_age": "1d",
    "log_line_prefix": "%m [%p] ",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}


class Life(enum.Enum):
    """What a look at the server tells."""

    ANSWERS = enum.auto()
    SILENT = enum.auto()  # the process is there: starting, stopping or frozen
    GONE = enum.auto()


class Server:
    """The server of one home. Its verbs judge nothing but the moment; callers hold the home's lock around them."""

    def __init__(self, home: Home, settings: Mapping[str, str], elsewhere: Path) -> None:
        self.home = home
        self._settings = {**SETTINGS, **settings}
        self._elsewhere = elsewhere
        self._child: subprocess.Popen[bytes] | None = None

    def alive(self) -> bool:
        """Whether it answers a query within about two seconds."""
        return self._answers(KEEPER, "postgres")

    def look(self) -> Life:
        """Whether it answers, is silent, or has no process."""
        if self.alive():
            return Life.ANSWERS
        return Life.SILENT if self.postmaster() else Life.GONE

    def postmaster(self) -> Postmaster | None:
        """Its living process."""
        if self._child is not None:
            self._child.poll()  # collect what has ended: a zombie keeps its pid
        return find(self.home.cluster)

    def bring_up(self) -> bool:
        """Make it answer; True when its process was there already."""
        life = self.look()
        if life is Life.GONE:
            self.launch()
        elif life is Life.SILENT:
            self._await_answer()
        self._prepare()
        return life is not Life.GONE

    def launch(self) -> None:
        """Start the process, whose absence the caller has seen, and wait until it answers."""
        binaries = embedded_binaries.server(self.home.made_by)
        binaries = embedded_binaries.within_reach(binaries, self.home.account, self._elsewhere)
        if self.home.made_by is None:
            self._make_cluster(binaries)
        # Postgres would take whoever now has the old pid for a server. Two servers it still refuses by their shared memory.
        pid_file(self.home.cluster).unlink(missing_ok=True)
        deadline = time.monotonic() + IN_USE_SECONDS
        try:
            while not self._spawn(binaries):
                words = self.home.last_words()
                if "still in use" not in words or time.monotonic() >= deadline:
                    raise EmbeddedError(f"The embedded database did not start: {words}")
                time.sleep(0.1)
        except BaseException:  # Ctrl-C while we wait: leave nothing behind
            self.shut_down()
            raise

    def shut_down(self) -> None:
        """What `pg_ctl stop -m fast` does, but only ever to the process that was proven to be this server."""
        postmaster = self.postmaster()
        if postmaster is None:
            return
        postmaster.end()
        if not postmaster.gone(STOP_SECONDS):
            raise EmbeddedError(f"The embedded database (process {postmaster.process.pid}) does not stop.")
        self.postmaster()

    def _spawn(self, binaries: Binaries) -> bool:
        settings = {
            **self._settings,
            "unix_socket_directories": '"{}"'.format(str(self.home.socket_folder()).replace('"', '""')),
            "log_directory": str(self.home.own("log")),
        }
        command = [str(binaries / "postgres"), "-D", str(self.home.cluster)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.home.start_log.open("wb") as output:
            # A session of its own: Ctrl-C in the terminal is for the hub, which then stops the server itself.
            self._child = subprocess.Popen(
                command,
                **self.home.account.spawn_options(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self._await_answer(self._child)

    def _await_answer(self, child: subprocess.Popen[bytes] | None = None) -> bool:
        """True once it answers, False when `child` ended instead; raises EmbeddedError when neither happens in time."""
        begun = time.monotonic()
        while not self.alive():
            if child is not None and child.poll() is not None:
                return False
            waited = time.monotonic() - begun
            postmaster = self.postmaster()
            if postmaster and postmaster.frozen and waited > FROZEN_SECONDS:
                pid = postmaster.process.pid
                raise EmbeddedError(f"The embedded database (process {pid}) is frozen. Continue it: kill -CONT {pid}")
            if waited > LAUNCH_SECONDS:
                raise EmbeddedError(f"The database in {self.home.folder} does not answer: {self.home.last_words()}")
            time.sleep(0.02)
        return True

    def _make_cluster(self, binaries: Binaries) -> None:
        """initdb beside the final name, renamed when whole: a cluster is there or not."""
        remove_half_made(self.home.folder / "cluster.new")
        new = self.home.own("cluster.new")
        password = self.home.password_file(KEEPER)
        # Text sorts and folds the same on every machine: Postgres' own rules where it has them.
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if binaries.major >= 17 else []
        options = [
            "-U",
            KEEPER,
            "--auth=scram-sha-256",
            f"--pwfile={password}",
            "--encoding=UTF8",
            "--locale=C",
            *locale,
        ]
        made = self.home.account.run([binaries / "initdb", "-D", new, *options, "--no-instructions"])
        if made.returncode:
            raise EmbeddedError(_why_not_made(made.stderr))
        new.rename(self.home.cluster)

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


def _why_not_made(said: str) -> str:
    if "could not look up effective user ID" in said:
        return (
            "Postgres refuses a user id without a name: this one is missing in /etc/passwd. "
            "Add it there, run as another user, or set SWITCHYARD_DATABASE_URL."
        )
    return f"The embedded database could not be made: {' / '.join(said.strip().splitlines()[-2:])}"
