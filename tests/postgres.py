"""One Postgres for a whole test run, shared by its worker processes and stopped by the last of them.

`server()` gives the URL of a role that may create databases; SWITCHYARD_TEST_DATABASE_URL names another server.
"""

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from webapp.embedded import Embedded, EmbeddedError
from webapp.embedded.lock import FileLock

# Nothing here must survive a power cut.
# A worker of autovacuum is a superuser's: a database in which one is busy could not be dropped.
FAST = {
    "autovacuum": "off",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}
START_SECONDS = 120.0
_running: list[Embedded] = []


def server() -> str:
    """The URL of a running server, started by whichever worker asks first. Asking again gives the same."""
    if url := os.environ.get("SWITCHYARD_TEST_DATABASE_URL"):
        return url
    if not _running:
        with _alone() as root:
            _sweep(root, keep=_run())
            _running.append(Embedded(root / _run(), settings=FAST))
            _running[0].join()
        atexit.register(leave)
    return _running[0].url


def leave() -> None:
    """Stop using the server; the last worker to leave stops it and removes its folder."""
    if _running:
        with _alone():
            _discard(_running.pop())


def _run() -> str:
    """A name that all workers of one run share and no other run has."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())


@contextlib.contextmanager
def _alone() -> Iterator[Path]:
    """The folder of all runs of this user, while no other worker comes or goes."""
    root = Path(tempfile.gettempdir()) / f"switchyard-tests-{os.geteuid()}"
    root.mkdir(mode=0o711, exist_ok=True)
    lock = FileLock(root / "lock")
    if root.stat().st_uid != os.geteuid() or not lock.take(wait=START_SECONDS):
        raise EmbeddedError(f"{root} belongs to somebody else or is locked: remove it.")
    try:
        yield root
    finally:
        lock.release()


def _sweep(root: Path, keep: str) -> None:
    """Stop and remove what runs that were killed have left behind; a run that lives keeps its server."""
    for folder in root.iterdir():
        if folder.is_dir() and folder.name != keep:
            abandoned = Embedded(folder, settings=FAST)
            try:
                abandoned.join()
            except EmbeddedError:
                continue
            _discard(abandoned)


def _discard(embedded: Embedded) -> None:
    if embedded.stop():
        shutil.rmtree(embedded.folder)
        shutil.rmtree(embedded.data_dir, ignore_errors=True)
