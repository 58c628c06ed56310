"""Data folders, keepers and hub processes for the tests of the embedded Postgres."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.webapp.embedded.servers import HUB_SCRIPT, ROOT
from webapp.embedded import Embedded


@pytest.fixture(scope="package")
def open_place() -> Iterator[Path]:
    """A folder that a server of root's can enter, which pytest's own temporary folders are not."""
    folder = Path(tempfile.mkdtemp(prefix="switchyard-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="package")
def data_dir(open_place: Path) -> Path:
    """A data folder whose cluster is made once; each test starts the server by itself."""
    first = Embedded(open_place / "data", elsewhere=open_place / "elsewhere")
    first.start()
    first.stop()
    return first.data_dir


@pytest.fixture
def make(open_place: Path, data_dir: Path) -> Iterator[Callable[..., Embedded]]:
    """Makes keepers, of the module's data folder unless told otherwise, and stops them all at the end."""
    made: list[Embedded] = []

    def one(folder: Path = data_dir) -> Embedded:
        made.append(Embedded(folder, elsewhere=open_place / "elsewhere"))
        return made[-1]

    yield one
    for embedded in reversed(made):
        embedded.stop()


@pytest.fixture
def hub_process(open_place: Path, data_dir: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts hubs as processes of their own."""
    started: list[subprocess.Popen[str]] = []

    def one() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HUB_SCRIPT, str(data_dir), str(open_place / "elsewhere")]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.communicate()
