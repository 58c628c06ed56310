"""A database that is frozen or killed: it is said, nothing is half stored, and all works again by itself."""

import concurrent.futures
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from models import database, schema
from tests.cable import Cable
from tests.conditions import until
from tests.hub import KEY, RunningHub, person, wait_ready
from tests.journeys.conftest import Alice
from tests.postgres import FAST
from webapp.embedded import Embedded

FROZEN_SECONDS = 20


@pytest.fixture
def cluster() -> Iterator[Embedded]:
    """A server of its own, as freezing the shared one would freeze every test."""
    with tempfile.TemporaryDirectory(prefix="frozen-") as folder:
        embedded = Embedded(Path(folder) / "data", settings=FAST)
        database.connect(embedded.join(), [KEY])
        schema.upgrade(database.engine())
        yield embedded
        database.dispose()
        embedded.stop()


@pytest.fixture
def hub(cluster: Embedded) -> Iterator[RunningHub]:
    with RunningHub(cluster.url) as running:
        wait_ready(running)
        yield running


@pytest.fixture
def alice(hub: RunningHub) -> Alice:
    id, token = person("alice@example.org", "Alice")
    return Alice(hub, id, token, "alice@example.org")


def server() -> psutil.Process:
    """The postmaster of the connected database."""
    with database.engine().connect() as connection:
        backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    found = psutil.Process(backend).parent()
    assert found is not None
    return found


def signal_all(postmaster: psutil.Process, number: int) -> None:
    for process in [postmaster, *postmaster.children(recursive=True)]:
        os.kill(process.pid, number)


def post(alice: Alice, topic: int, text: str) -> int:
    path = f"/api/v1/topics/{topic}/messages"
    return alice.hub.request("POST", path, {"text": text}, alice.token)[0]


def test_a_frozen_database_is_said_and_everything_works_again_by_itself(hub: RunningHub, alice: Alice) -> None:
    topic = alice.topic("Frozen")
    postmaster = server()
    with Cable(hub.port, alice.token) as cable, concurrent.futures.ThreadPoolExecutor(30) as threads:
        assert cable.frame() == {"type": "welcome"}
        signal_all(postmaster, signal.SIGSTOP)
        frozen = time.monotonic()
        try:
            answers = {f"text {n}": threads.submit(post, alice, topic, f"text {n}") for n in range(30)}
            status, said = hub.request("GET", "/readyz")
            assert status == 503 and "database" in said["failing"]
            assert hub.request("GET", "/healthz")[0] == 200
            statuses = {text: answer.result(20) for text, answer in answers.items()}
            assert set(statuses.values()) == {503}
            until(lambda: time.monotonic() - frozen > FROZEN_SECONDS, "twenty seconds", FROZEN_SECONDS + 5)
        finally:
            signal_all(postmaster, signal.SIGCONT)
        wait_ready(hub)
        assert alice.texts(topic) == []
        assert post(alice, topic, "thawed") == 201
        cable.socket.settimeout(10)
        assert '"ping"' in cable.socket.recv(), "the socket stayed open"
        assert cable.subscribe(channel="Switchyard::PageChannel", stream=f"topic:{topic}") == "confirm_subscription"
        post(alice, topic, "live again")
        until(lambda: "live again" in str(cable.frame()), "the live message", 20)
