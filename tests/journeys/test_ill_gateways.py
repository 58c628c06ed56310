"""Gateways of this machine that are ill in three ways at once, under a hub that loses no time."""

import os
import signal
from collections.abc import Iterator

import psutil
import pytest

from tests.bench.page_reader import Visitor
from tests.conditions import until
from tests.hub import PASSWORD, HastyHub, wait_ready
from tests.journeys.supervised import Operator

SECONDS = 60
MOST_GROWTH = 40 << 20


@pytest.fixture(scope="module")
def hub(database_url: str) -> Iterator[HastyHub]:
    with HastyHub(database_url) as running:
        wait_ready(running)
        yield running


@pytest.mark.slow
def test_each_ends_in_its_right_state_with_one_process_and_leaves_nothing(hub: HastyHub) -> None:
    operator = Operator(hub)
    deaf, hangs = operator.faulty("deaf", "deaf"), operator.faulty("hanging", "hangs")
    frozen = operator.playground("frozen")
    assert not operator.processes()
    for id in (deaf, hangs, frozen):
        operator.verb(id, "start")
    pid = operator.wait(frozen, "running", SECONDS)["process"]["pid"]
    before = psutil.Process(hub.pid).memory_info().rss
    os.kill(pid, signal.SIGSTOP)

    for id, code in ((deaf, "unreachable"), (hangs, "not_ready")):
        ill = operator.wait(id, "error", SECONDS)
        assert ill["problem"]["code"] == code and ill["problem"]["text"] and ill["problem"]["fix"]
        assert ill["attempts"] >= 5 and ill["next_attempt_at"] and ill["connection"] == "disconnected"
        told = operator.timeline(id)
        assert told.count("process") >= 2 and "connected" not in told, "reconnected first, restarted second"
    well = operator.wait_again(frozen, pid, SECONDS)
    assert well["connection"] == "connected" and well["problem"] is None
    assert "did not come back by itself" in well["process"]["last_exit"]["reason"]
    assert not psutil.pid_exists(pid)
    until(lambda: len(operator.processes()) == 6, f"one process each, and its relay: {operator.processes()}", SECONDS)

    page = Visitor(hub.port, operator.email, PASSWORD).call("GET", "/supervisor").decode()
    assert "hanging started but does not answer yet" in page and page.count("until you stop it") == 2
    assert psutil.Process(hub.pid).memory_info().rss - before < MOST_GROWTH

    for id in (deaf, hangs, frozen):
        operator.verb(id, "stop")
    for id in (deaf, hangs, frozen):
        operator.wait(id, "stopped", SECONDS)
    operator.none_left()
