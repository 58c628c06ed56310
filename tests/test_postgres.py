"""The server that the tests share: one for a run, gone with its last worker, swept up when a run was killed."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conditions import until

ROOT = Path(__file__).resolve().parent.parent
WORKER = """
import sys
from tests import postgres
print(postgres.server(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a worker of the named run, which uses the server until its input ends; its folders are this test's own."""
    started: list[subprocess.Popen[str]] = []

    def one(run: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name != "SWITCHYARD_TEST_DATABASE_URL"}
        environment |= {"PYTEST_XDIST_TESTRUNUID": run, "TMPDIR": str(tmp_path)}
        command, pipe = [sys.executable, "-c", WORKER], subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdin=pipe, stdout=pipe))
        return started[-1]

    yield one
    for process in started:
        process.communicate()


def url_of(process: subprocess.Popen[str]) -> str:
    return next(line.strip() for line in process.stdout if line.startswith("postgresql"))


def answers(url: str) -> bool:
    try:
        psycopg.connect(url.replace("+psycopg", ""), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def folders(tmp_path: Path) -> list[str]:
    return [folder.name for folder in (tmp_path / f"switchyard-tests-{os.geteuid()}").iterdir() if folder.is_dir()]


def test_workers_of_a_run_share_one_server_and_the_last_one_stops_it(worker, tmp_path):
    run = uuid.uuid4().hex
    first, second = worker(run), worker(run)
    url = url_of(first)
    assert url_of(second) == url
    first.communicate("")
    assert answers(url)
    second.communicate("")
    assert not answers(url)
    assert folders(tmp_path) == []


def test_what_a_killed_run_left_is_removed_by_the_next(worker, tmp_path):
    killed = worker("killed")
    abandoned = url_of(killed)
    killed.kill()
    killed.wait()
    assert answers(abandoned)
    living = worker("living")
    url_of(living)
    until(lambda: not answers(abandoned), "the abandoned server to stop")
    assert folders(tmp_path) == ["living"]
