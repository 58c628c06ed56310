"""Several web processes on one port: what one writes all hear, and any of them, the parent or the database may die."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from models import database
from models.agent_subscription import AgentSubscription
from models.base import database_time
from models.process import Process
from tests.cable import Cable, channel
from tests.conditions import until
from tests.hub import ROOT, RunningHub, person, wait_ready
from tests.journeys.conftest import Alice
from webapp.embedded.postmaster import find
from webapp.playground.agent import PlaygroundAgent

Start = Callable[..., PlaygroundAgent]
WORKERS = 3


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"workers": str(WORKERS), "stale_seconds": "3"}


@pytest.fixture
def alone(database_url: str) -> Iterator[RunningHub]:
    """A hub with two processes, for one test."""
    with RunningHub(database_url, workers="2") as running:
        yield running


def gone(pids: list[int]) -> bool:
    """Whether none of these processes runs."""
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def sockets(hub: RunningHub) -> dict[str, int]:
    """How many sockets each process holds, by the hub's metrics."""
    found = re.findall(r'^switchyard_sockets_open{process="(\d+)"} (\d+)', hub.request("GET", "/metrics")[1], re.M)
    return {process: int(count) for process, count in found}


def listeners(port: int) -> int:
    """How many listening sockets there are on a port."""
    found = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(fields[1].endswith(f":{port:04X}") and fields[3] == "0A" for fields in found)


@contextlib.contextmanager
def spread(hub: RunningHub, token: str, least: int = 2) -> Iterator[list[Cable]]:
    """Sockets enough to live in at least so many processes."""
    with contextlib.ExitStack() as stack:
        cables: list[Cable] = []
        while len([count for count in sockets(hub).values() if count]) < least:
            assert len(cables) < 200, "all sockets went to one process"
            cables += [stack.enter_context(Cable(hub.port, token)) for _ in range(10)]
            # Each process writes its figures every five seconds.
            opened = len(cables)
            until(lambda n=opened: sum(sockets(hub).values()) == n, "the sockets to be counted", 20)  # type: ignore[misc]
        yield cables


def test_it_says_once_that_it_is_ready_and_where_the_first_account_is_made(alone: RunningHub) -> None:
    assert len(alone.workers()) == 2
    assert alone.ready()
    until(lambda: len(alone.output) == 2, "both lines")
    assert [line.split(" http")[0] for line in alone.output] == [
        "Switchyard is ready at",
        "Make the first account here (the link works once):",
    ]


def test_all_processes_share_one_listening_socket(hub: RunningHub) -> None:
    assert len(hub.workers()) == WORKERS
    assert listeners(hub.port) == 1


def test_figures_are_of_all_processes_whoever_is_asked(hub: RunningHub, alice: Alice) -> None:
    def listening() -> set[str]:
        found = hub.request("GET", "/metrics")[1]
        return set(re.findall(r'^switchyard_listening{process="(\d+)"} 1', found, re.M))

    until(lambda: len(listening()) == WORKERS, "each process to have told", 20)
    assert "switchyard_processes 3.0" in hub.request("GET", "/metrics")[1]
    with spread(hub, alice.token):
        found = hub.request("GET", "/metrics")[1]
    answered = re.findall(r'^switchyard_request_seconds_bucket{le="\+Inf",.*process="(\d+)",.*} [1-9]', found, re.M)
    assert len(set(answered)) >= 2


def test_each_process_leaves_its_timetable_on_its_row(hub: RunningHub) -> None:
    def rows() -> list[Process]:
        with database.transaction() as session:
            return Process.living(session, database_time(session))

    until(lambda: len([row for row in rows() if row.holds]) >= WORKERS, "each to write its row")
    for row in rows():
        assert {"job", "every_seconds", "last_run_at", "last_seconds", "last_error"} == set(row.holds["timetable"][0])


def test_what_one_process_writes_is_heard_by_the_sockets_of_all(hub: RunningHub, alice: Alice) -> None:
    topic = alice.topic("Heard by all")
    with spread(hub, alice.token) as cables:
        for cable in cables:
            assert cable.subscribe(channel="Switchyard::PageChannel", stream=f"topic:{topic}") == "confirm_subscription"
        alice.post(topic, "heard everywhere")
        assert all("heard everywhere" in str(cable.frame()["message"]) for cable in cables)


def test_the_sessions_of_one_agent_live_in_several_processes_and_each_task_is_dispatched_once(
    hub: RunningHub, alice: Alice, agent_of: Start
) -> None:
    sessions = [agent_of("spread", f"session {n}", automatic=False) for n in range(12)]
    agent_id = sessions[0].agent_id
    assert agent_id is not None
    with database.transaction() as session:
        homes = Counter(row.process_id for row in AgentSubscription.of(session, agent_id))
    assert sum(homes.values()) == 12
    topics = [alice.topic(f"Spread {n}", agent_id) for n in range(6)]
    tasks = [alice.post(topic, "to one of you")["tasks"][0]["id"] for topic in topics]

    def dispatched() -> list[int]:
        return sorted(dispatch.task_id or 0 for one in sessions for dispatch in one.dispatches)

    until(lambda: len(dispatched()) >= len(tasks), "the dispatches")
    assert dispatched() == tasks


def test_a_killed_worker_is_replaced_and_nothing_is_lost(hub: RunningHub, alice: Alice, agent_of: Start) -> None:
    scouts = [agent_of("survivor", f"session {n}") for n in range(6)]
    before = hub.workers()
    topics = [alice.topic(f"Worker killed {n}", scouts[0].agent_id) for n in range(WORKERS)]
    tasks = []
    for topic, victim in zip(topics, before, strict=True):
        os.kill(victim, signal.SIGKILL)
        tasks.append(until(lambda t=topic: posted(alice, t, "question"), "a process to take it"))  # type: ignore[misc]
        until(lambda dead=victim: gone([dead]) and len(hub.workers()) == WORKERS, "the seat to be taken", 60)  # type: ignore[misc]
    assert not set(before) & set(hub.workers())
    for task in tasks:
        alice.wait_status(task, "done", 40)
    assert all(len(alice.texts(topic)) == 2 for topic in topics)


def posted(alice: Alice, topic: int, text: str) -> int | None:
    """The task that came of a message; None when the connection broke."""
    try:
        status, answer = alice.hub.request("POST", f"/api/v1/topics/{topic}/messages", {"text": text}, alice.token)
    except (OSError, ConnectionError):
        return None
    return answer["tasks"][0]["id"] if status == 201 else None


def test_the_rows_of_a_killed_worker_are_reaped(hub: RunningHub, alice: Alice, agent_of: Start) -> None:
    scout = agent_of("reaped", automatic=False)
    assert scout.agent_id is not None
    os.kill(holder(hub, scout.agent_id), signal.SIGKILL)
    scout.wait_for(lambda: not scout.subscribed, what="the socket to break")
    scout.wait_for(lambda: scout.subscribed, seconds=30, what="the plugin to be back")

    def live() -> int:
        with database.transaction() as session:
            return sum(row.dropped_at is None for row in AgentSubscription.of(session, scout.agent_id or 0))

    until(lambda: live() == 1, "one live row", 15)


def presence(agent_id: int) -> dict[str, bool]:
    """The agent's rows by token, and whether each is live."""
    with database.transaction() as session:
        return {row.token: row.dropped_at is None for row in AgentSubscription.of(session, agent_id)}


def test_a_late_leave_in_another_process_keeps_the_newer_row(hub: RunningHub, alice: Alice) -> None:
    told = alice.call("POST", "/agent/register", {"agent_name": "moving", "session_id": "laptop"})
    me = channel(agent_id=told["agent_id"], session_id="laptop")
    with Cable(hub.port, alice.token) as older:
        older.frame()
        assert older.subscribe(**me) == "confirm_subscription"
        first = holder(hub, told["agent_id"])
        with contextlib.ExitStack() as stack:
            while holder(hub, told["agent_id"]) == first:
                newer = stack.enter_context(Cable(hub.port, alice.token))
                newer.frame()
                assert newer.subscribe(**me) == "confirm_subscription"
            before = presence(told["agent_id"])
            # Not by the figures: each process tells its own every few seconds, and a dead one's stay for a while.
            ended = hub.log().count("cable_ended")
            older.socket.close()
            until(lambda: hub.log().count("cable_ended") > ended, "the old socket to be gone", 20)
            assert presence(told["agent_id"]) == before and list(before.values()) == [True]


def test_a_frozen_process_brings_its_sessions_back(hub: RunningHub, alice: Alice) -> None:
    told = alice.call("POST", "/agent/register", {"agent_name": "frozen", "session_id": "laptop"})
    with Cable(hub.port, alice.token) as cable:
        cable.frame()
        assert cable.subscribe(**channel(agent_id=told["agent_id"], session_id="laptop")) == "confirm_subscription"
        frozen = holder(hub, told["agent_id"])
        os.kill(frozen, signal.SIGSTOP)
        try:
            until(lambda: list(presence(told["agent_id"]).values()) == [False], "its row to be dropped", 20)
        finally:
            os.kill(frozen, signal.SIGCONT)
        until(lambda: list(presence(told["agent_id"]).values()) == [True], "its row to be live again", 20)
        task = alice.post(alice.topic("Thawed", told["agent_id"]), "still there?")["tasks"][0]["id"]
        assert cable.frame()["message"]["task_id"] == task


def holder(hub: RunningHub, agent_id: int) -> int:
    """The worker that holds an agent's socket."""
    with database.transaction() as session:
        [row] = AgentSubscription.of(session, agent_id)
        process = session.get(Process, row.process_id)
        assert process is not None
        return process.pid


def test_a_worker_that_is_asked_to_end_is_replaced_too(alone: RunningHub) -> None:
    first = alone.workers()
    os.kill(first[0], signal.SIGTERM)
    until(lambda: gone(first[:1]) and len(alone.workers()) == 2, "the seat to be taken", 60)
    assert alone.ready()


def test_sigterm_ends_all_in_order(alone: RunningHub) -> None:
    workers = alone.workers()
    assert alone.stop() == 0
    assert gone(workers)


def test_workers_end_with_a_killed_parent_and_the_next_one_takes_the_port(alone: RunningHub) -> None:
    workers, port = alone.workers(), alone.port
    alone.kill()
    alone.start()
    assert alone.port == port
    until(lambda: gone(workers), "the orphans to end", 20)
    wait_ready(alone)
    assert len(alone.workers()) == 2


def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    with RunningHub(None, workers="2") as hub:
        server = find(cluster(hub))
        assert server is not None
        family = [hub.pid, *hub.workers(), server.process.pid]
        for pid in family[:-1]:  # as a terminal does: all of the foreground
            os.kill(pid, signal.SIGINT)
        assert hub.wait() == 0
        assert gone(family)


def cluster(hub: RunningHub) -> Path:
    """Where the embedded database of a hub is."""
    place = hub.data_dir / "database.place"
    return (Path(place.read_text()) if place.exists() else hub.data_dir / "database") / "cluster"


def test_the_embedded_database_is_the_parents(tmp_path: Path) -> None:
    with RunningHub(None, workers="2") as hub:
        workers, server = hub.workers(), find(cluster(hub))
        assert server is not None
        os.kill(workers[0], signal.SIGKILL)
        until(lambda: gone(workers[:1]) and len(hub.workers()) == 2, "the seat to be taken", 60)
        assert server.process.is_running()

        workers = hub.workers()
        os.kill(server.process.pid, signal.SIGKILL)
        until(lambda: not hub.ready(), "the database to be away")
        until(hub.ready, "the database to be revived", 30)
        assert hub.workers() == workers, "no web process had to be started again"

        revived = find(cluster(hub))
        hub.kill()
        hub.start()
        wait_ready(hub)
        adopted = find(cluster(hub))
        assert revived is not None and adopted is not None and adopted.process == revived.process


def test_there_is_one_parent_of_a_data_folder(tmp_path: Path) -> None:
    with RunningHub(None, workers="2") as hub:
        environment = {
            **os.environ,
            "SWITCHYARD_DATA_DIR": str(hub.data_dir),
            "SWITCHYARD_DATABASE_URL": "",
            "SWITCHYARD_WORKERS": "2",
            "SWITCHYARD_PORT": "0",
        }
        second = subprocess.run(
            [sys.executable, "wsgi.py"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
        )
        assert second.returncode == 1
        assert f"Another hub (process {hub.pid}) already runs" in second.stderr
        assert hub.ready()


def test_a_signed_in_person_is_known_to_every_process(hub: RunningHub) -> None:
    _, token = person("everywhere@example.org", "Everywhere")
    assert {hub.request("GET", "/api/v1/me", None, token)[0] for _ in range(30)} == {200}
