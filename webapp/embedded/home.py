"""The home of the embedded database: one folder with the cluster, its logs, its passwords and its locks.

DATA_DIR/database/            or, when the server's account cannot get there, /var/lib/switchyard/<digest>/
  cluster/                    the data; belongs to the server's account, as do log/ and run/
  run/                        the socket, unless that path is too long for one: then a private folder under /tmp
  keeper.password, hub.password, hub.lock, server.lock, users.lock, borrowed, socket
DATA_DIR/database.place       then names the folder under /var/lib
"""

import contextlib
import hashlib
import itertools
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from webapp.embedded.account import Account, EmbeddedError, account_for
from webapp.embedded.lock import FileLock

log = structlog.get_logger(__name__)

ELSEWHERE = Path("/var/lib/switchyard")
PORT = 5432  # only a part of the socket's name: nothing listens on TCP
SOCKET_BYTES = 100  # the kernel takes 107 (Linux) or 103 (macOS)
LOGS_KEPT = 5
SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class Home:
    """The folder and the account that the server of it runs as."""

    folder: Path
    account: Account

    @property
    def cluster(self) -> Path:
        """What Postgres calls its data directory."""
        return self.folder / "cluster"

    @property
    def start_log(self) -> Path:
        """What the server said at its last start, before its log files were open."""
        return self.folder / "start.log"

    @property
    def made_by(self) -> int | None:
        """The major version that made the cluster; None before there is one."""
        try:
            return int((self.cluster / "PG_VERSION").read_text())
        except FileNotFoundError:
            return None

    def own(self, name: str) -> Path:
        """A folder inside the home that only the server's account may enter, made when missing."""
        folder = self.folder / name
        folder.mkdir(mode=0o700, exist_ok=True)
        if self.account.step_down:
            os.chown(folder, self.account.uid, self.account.gid)
        return folder

    def password_file(self, role: str) -> Path:
        """Where the password of a database role is kept, made when missing: 256 bits, readable by nobody else."""
        path = self.folder / f"{role}.password"
        if path.exists():
            return path
        with contextlib.suppress(FileExistsError):
            write_private(path, secrets.token_urlsafe(32))
            if self.account.step_down:
                os.chown(path, self.account.uid, self.account.gid)  # whose initdb reads it
        return path

    def password(self, role: str) -> str:
        """The kept password of a database role."""
        return self.password_file(role).read_text().strip()

    def socket_folder(self) -> Path:
        """A private folder for the socket, the same at every start: in the home, else a short one remembered there."""
        inside = self.folder / "run"
        if len(os.fsencode(inside / f".s.PGSQL.{PORT}")) <= SOCKET_BYTES and "," not in str(inside):
            return self.own("run")
        return self._short_folder()

    @property
    def socket(self) -> Path:
        """Where a server of this home is heard."""
        return self.socket_folder() / f".s.PGSQL.{PORT}"

    def _short_folder(self) -> Path:
        remembered = self.folder / "socket"
        if not remembered.exists():
            root = "/tmp" if os.access("/tmp", os.W_OK) else None  # noqa: S108 - mkdtemp makes it private
            write_private(remembered, tempfile.mkdtemp(prefix="switchyard-", dir=root))
        folder = Path(remembered.read_text())
        folder.mkdir(mode=0o700, exist_ok=True)  # a restart of the machine empties /tmp
        if folder.is_symlink() or folder.stat().st_uid not in (os.geteuid(), self.account.uid):
            raise EmbeddedError(
                f"{folder} should hold the socket of the database, but belongs to somebody else: remove it."
            )
        if self.account.step_down:
            os.chown(folder, self.account.uid, self.account.gid)
        return folder

    def tidy_logs(self) -> None:
        """Keep the newest few log files; with the server's own rotation by size this bounds them all."""
        logs = sorted((self.folder / "log").glob("postgres-*.log"))
        for log in logs[:-LOGS_KEPT]:
            log.unlink(missing_ok=True)

    def last_words(self) -> str:
        """What the server said last, for an error message."""
        lines = self.start_log.read_text(errors="replace").splitlines() if self.start_log.exists() else []
        logs = sorted((self.folder / "log").glob("postgres-*.log"))
        if logs and any("logging collector" in line for line in lines):  # it got as far as opening its log
            lines = logs[-1].read_text(errors="replace").splitlines()
        grave = [line for line in lines if ("FATAL" in line or "PANIC" in line) and "starting up" not in line]
        return " / ".join((grave or lines)[-2:]) or "it said nothing"


def settle(data_dir: Path, elsewhere: Path) -> Home:
    """Find or make the home for a data folder. Raises EmbeddedError when no place suits the server's account."""
    # The server that root steps down to must pass through; nobody else gets to see what is in there.
    data_dir.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    lock = FileLock(data_dir)
    if not lock.take(wait=SETTLE_SECONDS):
        raise EmbeddedError(f"Another process holds the folder {data_dir}.")
    try:
        return _settled(data_dir, elsewhere)
    finally:
        lock.release()


def _settled(data_dir: Path, elsewhere: Path) -> Home:
    pointer = data_dir / "database.place"
    if pointer.exists():
        folder = Path(pointer.read_text().strip())
        return _made(folder, account_for(folder / "cluster"))
    inside = data_dir / "database"
    new = not inside.exists()
    home = _made(inside, account_for(inside / "cluster"))
    if not home.account.step_down or home.account.can_enter(inside):
        return home
    if not new:
        raise EmbeddedError(f"User {home.account.uid}, who owns the database in {inside}, cannot get there any more.")
    inside.rmdir()
    return _elsewhere(data_dir, elsewhere, pointer, home.account)


def _elsewhere(data_dir: Path, elsewhere: Path, pointer: Path, account: Account) -> Home:
    """A home outside, because a parent of the data folder is closed to the account and opening it is not ours to do."""
    if not elsewhere.exists():
        elsewhere.mkdir(parents=True)
        elsewhere.chmod(0o755)
    home = _made(_unused(elsewhere, hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]), account)
    if not account.can_enter(home.folder):
        raise EmbeddedError(
            f"User {account.uid} reaches neither {data_dir} nor {elsewhere}. Set SWITCHYARD_DATABASE_URL."
        )
    write_private(pointer, str(home.folder))
    return home


def _unused(elsewhere: Path, digest: str) -> Path:
    """A home left behind by a data folder that was deleted is neither reused nor removed: it may be the only copy."""
    for name in itertools.chain([digest], (f"{digest}-{number}" for number in itertools.count(2))):
        if not (elsewhere / name / "cluster").exists():
            return elsewhere / name
        log.warning("older_database_left_alone", folder=str(elsewhere / name))
    raise AssertionError("names do not run out")


def _made(folder: Path, account: Account) -> Home:
    if not folder.exists():
        folder.mkdir()
        # The account must pass through; what lies inside is closed to all others.
        folder.chmod(0o711 if account.step_down else 0o700)
    return Home(folder, account)


def write_private(path: Path, text: str) -> None:
    """Write a new file of mode 0600, whole or not at all. Raises FileExistsError when it is there already."""
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)
    finally:
        os.unlink(partial)
