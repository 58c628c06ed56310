"""Asking the servers of these tests, and the hub that can be killed."""

import os
import subprocess
from pathlib import Path

import psycopg

from webapp.embedded.postmaster import find

ROOT = Path(__file__).resolve().parents[3]
AS_ROOT = os.geteuid() == 0
HUB_SCRIPT = """
import sys
from pathlib import Path
from webapp.embedded import Embedded, EmbeddedError
hub = Embedded(Path(sys.argv[1]), elsewhere=Path(sys.argv[2]))
try:
    print(hub.start(), flush=True)
except EmbeddedError as error:
    sys.exit(str(error))
sys.stdin.read()
hub.stop()
"""


def ask(url: str, query: str) -> object:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchone()[0] if cursor.description else None


def url_of(hub: subprocess.Popen[str]) -> str:
    return next(line.strip() for line in hub.stdout if line.startswith("postgresql+psycopg://"))


def server_pid(data_dir: Path) -> int:
    postmaster = find(data_dir / "database" / "cluster")
    assert postmaster is not None
    return postmaster.process.pid
