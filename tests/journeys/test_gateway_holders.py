"""Several processes and one gateway: whoever holds it may be killed or frozen, and nothing is lost or doubled."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.conditions import until
from tests.harbor import Harbor
from tests.hub import RunningHub, person, wait_ready


@pytest.fixture
def hubs(database_url: str) -> Iterator[list[RunningHub]]:
    """Two processes on one database."""
    with RunningHub(database_url) as first, RunningHub(database_url) as second:
        wait_ready(first)
        wait_ready(second)
        yield [first, second]


@pytest.fixture
def harbor(hubs: list[RunningHub]) -> Iterator[Harbor]:
    id, token = person(f"alice-{hubs[0].port}@example.org", "Alice")
    joined = Harbor.join(hubs[0], id, token, f"Harbor {hubs[0].port}")
    joined.wait_running()
    yield joined
    joined.gateway.crash()


def holder(harbor: Harbor, hubs: list[RunningHub]) -> tuple[RunningHub, RunningHub]:
    """Who holds the gateway, and the other one."""
    pid = harbor.holder_pid()
    first, second = hubs
    return (first, second) if first.pid == pid else (second, first)


def compare(harbor: Harbor, topic: int) -> None:
    """What stands in the topic is what the gateway's ledger says was spoken there: none lost, none doubled."""
    said = [message.text for message in harbor.said(topic) if message.agent_id is not None]
    spoken = [entry.text for entry in harbor.gateway.ledger.spoken(harbor.key_of(topic))]
    assert sorted(said) == sorted(spoken)


def test_another_process_takes_over_when_the_holder_is_killed(hubs: list[RunningHub], harbor: Harbor) -> None:
    holds, other = holder(harbor, hubs)
    harbor.hub = other
    topic = harbor.topic()
    task = harbor.ask(topic, "go on [[mock chunks=30 delay=150]]")
    until(lambda: harbor.task(task)["partial"], "the text so far")
    epoch = harbor.row().hold_epoch
    holds.kill()
    until(lambda: harbor.row().hold_epoch > epoch, "another process to hold it", 10)
    harbor.gateway.inject(harbor.key(task), "said meanwhile")
    harbor.wait(task, "done", 30)
    until(lambda: "said meanwhile" in harbor.texts(topic), "what was said meanwhile", 20)
    compare(harbor, topic)


def test_a_holder_that_froze_speaks_no_more_when_it_thaws(hubs: list[RunningHub], harbor: Harbor) -> None:
    holds, other = holder(harbor, hubs)
    harbor.hub = other
    topic = harbor.topic()
    first = harbor.ask(topic, "while you froze [[mock chunks=20 delay=150]]")
    second = harbor.ask(topic, "and after")
    until(lambda: harbor.task(first)["partial"], "the text so far")
    epoch = harbor.row().hold_epoch
    os.kill(holds.pid, signal.SIGSTOP)
    try:
        until(lambda: harbor.row().hold_epoch > epoch, "another process to hold it", 12)
        harbor.wait(second, "done", 30)
    finally:
        os.kill(holds.pid, signal.SIGCONT)
    until(lambda: "leases_lost" in holds.log() or "lease_taken" in holds.log(), "the thawed one to give up", 15)
    third = harbor.ask(topic, "still one?")
    harbor.wait(third, "done", 30)
    assert harbor.holder_pid() == other.pid
    compare(harbor, topic)
    assert len([t for t in harbor.texts(topic) if t.startswith("You said")]) == 3


def test_a_hub_killed_in_mid_stream_has_the_whole_answer_once(database_url: str) -> None:
    with RunningHub(database_url) as hub:
        wait_ready(hub)
        id, token = person(f"alice-{hub.port}@example.org", "Alice")
        harbor = Harbor.join(hub, id, token, f"Harbor {hub.port}")
        harbor.wait_running()
        topic = harbor.topic()
        task = harbor.ask(topic, "to the end [[mock chunks=40 delay=100]]")
        until(lambda: harbor.task(task)["partial"], "the text so far")
        hub.kill()
        hub.start()
        wait_ready(hub)
        harbor.wait(task, "done", 30)
        compare(harbor, topic)
        harbor.gateway.crash()
