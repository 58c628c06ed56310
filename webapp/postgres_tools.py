"""pg_dump, pg_restore and psql for one database: a dump out, or in as one transaction. No password in a command."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from webapp.embedded import binaries

# pg_restore writes this even for servers that are too old to know it (before 17), which would end the transaction.
UNKNOWN_TO_OLD = b"SET transaction_timeout = 0;\n"
LAST_OF_HEAD = b"SELECT pg_catalog.set_config"  # after it come no settings; before it no data


class ToolsError(Exception):
    """A sentence: the programs are missing, or one of them failed and what it said."""


@dataclass(frozen=True)
class Tools:
    """The programs in `folder`, of version `major`, pointed at one database."""

    folder: Path
    major: int
    conninfo: str
    password: str | None

    def dump(self, target: IO[bytes]) -> None:
        """Write a dump (custom format, compressed) of everything but what is unlogged."""
        options = ["--format=custom", "--no-owner", "--no-privileges", "--no-unlogged-table-data"]
        with self._running("pg_dump", *options, f"--dbname={self.conninfo}", stdout=subprocess.PIPE) as process:
            shutil.copyfileobj(process.stdout, target)

    def check(self, dump: Path) -> None:
        """Raise ToolsError when the file is no dump that these programs can read."""
        with self._running("pg_restore", "--list", str(dump), stdout=subprocess.DEVNULL):
            pass

    def load(self, dump: Path, before: str) -> None:
        """Run the statements of `before` and then the dump, replacing what it brings: all of it, or nothing."""
        options = ["--file=-", "--clean", "--if-exists", "--no-owner", "--no-privileges"]
        quiet = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-", f"--dbname={self.conninfo}"]
        with self._running("psql", *quiet, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as psql:
            try:
                psql.stdin.write(f"BEGIN;\n{before}\n".encode())
                with self._running("pg_restore", *options, str(dump), stdout=subprocess.PIPE) as script:
                    _pass_on(script.stdout, psql.stdin)
                psql.stdin.write(b"\nCOMMIT;\n")  # only now: what ends early is rolled back
                psql.stdin.close()
            except BrokenPipeError:  # psql has ended early, and says why
                with contextlib.suppress(BrokenPipeError):
                    psql.stdin.close()

    @contextlib.contextmanager
    def _running(self, program: str, *arguments: str, **pipes: Any) -> Iterator[Any]:
        """The program while the block feeds or reads it; raises ToolsError when it ends with a code other than 0."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHYARD_")}
        environment |= {"LC_ALL": "C"} | ({"PGPASSWORD": self.password} if self.password else {})
        with tempfile.TemporaryFile() as said:
            command = [str(self.folder / program), *arguments]
            pipes = {"stdin": subprocess.DEVNULL, **pipes}
            process = subprocess.Popen(command, env=environment, stderr=said, **pipes)  # noqa: S603 - a list, no shell
            with process:
                try:
                    yield process
                except BaseException:
                    process.kill()
                    raise
            if process.returncode:
                said.seek(0)
                raise ToolsError(f"{program} failed: {_first_error(said.read().decode(errors='replace'))}")


def tools(url: str, at_least: int) -> Tools:
    """The programs for a server of that major version or newer. Raises ToolsError when none are here."""
    found = binaries.clients(at_least)
    if found is None:
        raise ToolsError(f"No pg_dump of version {at_least} or newer is here: install the client programs of Postgres.")
    conninfo, password = _parts(url)
    return Tools(found.folder, found.major, conninfo, password)


def connect(url: str) -> psycopg.Connection:
    """A connection of our own to that database, in autocommit. Raises ToolsError when it does not answer."""
    conninfo, password = _parts(url)
    try:
        return psycopg.connect(conninfo, password=password, connect_timeout=10, autocommit=True)
    except psycopg.OperationalError as error:
        raise ToolsError(f"The database does not answer: {str(error).strip()}") from error


def _parts(url: str) -> tuple[str, str | None]:
    """libpq's words without the password, and the password."""
    parsed = make_url(url)
    words: dict[str, Any] = {
        "host": parsed.host,
        "port": parsed.port,
        "user": parsed.username,
        "dbname": parsed.database,
        **{name: value if isinstance(value, str) else ",".join(value) for name, value in parsed.query.items()},
    }
    password = words.pop("password", None) or parsed.password
    return make_conninfo(**{name: value for name, value in words.items() if value is not None}), password


def _pass_on(script: IO[bytes], target: IO[bytes]) -> None:
    for line in script:
        if line != UNKNOWN_TO_OLD:
            target.write(line)
        if line.startswith(LAST_OF_HEAD):
            break
    shutil.copyfileobj(script, target)


def _first_error(said: str) -> str:
    """The first line that tells of an error; later ones may repeat data."""
    lines = [line for line in said.splitlines() if "error" in line.lower() or "fatal" in line.lower()]
    return (lines or said.splitlines() or ["it said nothing"])[0]
