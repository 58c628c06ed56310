"""Gateways that fall and get up: started, found again, named when they cannot be, and none left behind."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import psutil
import pytest

from tests import local_gateway
from tests.bench.page_reader import Visitor
from tests.conditions import until
from tests.hub import PASSWORD, RunningHub
from tests.journeys.conftest import Alice
from tests.journeys.supervised import Operator, free_port, kill


@pytest.fixture
def operator(hub: RunningHub) -> Iterator[Operator]:
    operator = Operator(hub)
    yield operator
    for gateway in operator.call("GET", "/gateways")["items"]:
        if gateway["wanted"]:
            operator.verb(gateway["id"], "stop")
        operator.wait(gateway["id"], "stopped", 20)
        until(lambda id=gateway["id"]: operator.gateway(id)["process"]["pid"] is None, "its process to be gone", 20)
        operator.call("DELETE", f"/gateways/{gateway['id']}")
    operator.none_left()


def test_it_starts_answers_falls_and_answers_again(hub: RunningHub, operator: Operator, alice: Alice) -> None:
    office = operator.playground("office")
    assert operator.gateway(office)["state"] == "stopped" and operator.gateway(office)["process"]["pid"] is None
    operator.verb(office, "start")
    running = operator.wait(office, "running")
    process = running["process"]
    assert running["connection"] == "connected" and running["version"] and running["problem"] is None
    assert process["port"] and not process["adopted"] and process["uptime_seconds"] is not None
    pilot = operator.call("POST", "/agents", {"name": "pilot", "gateway_id": office, "gateway_agent_id": "main"})
    topic = Alice(hub, operator.id, operator.token, "olga").topic("Falls", pilot["id"])
    olga = Alice(hub, operator.id, operator.token, "olga")
    olga.wait_status(olga.post(topic, "hello")["tasks"][0]["id"], "done")
    kill(process["pid"])
    again = operator.wait_again(office, process["pid"])
    assert again["process"]["last_exit"]["signal"] == "SIGKILL"
    olga.wait_status(olga.post(topic, "hello again")["tasks"][0]["id"], "done")
    kill(again["process"]["pid"])
    operator.wait_again(office, again["process"]["pid"])
    lines = operator.call("GET", f"/gateways/{office}/timeline?limit=200")["items"]
    assert not [one for one, next_ in pairwise(lines) if one["text"] == next_["text"]], "no line twice"
    page = Visitor(hub.port, operator.email, PASSWORD).call("GET", f"/topics/{topic}").decode()
    assert page.count('class="meta fall"') == 1 and "office fell 2 times since" in page and "and was back at" in page
    told = operator.timeline(office)
    assert told.count("process") == 3 and told.count("connected") == 3 and told.count("exit") == 2


def test_start_of_what_runs_does_nothing_and_restart_is_another_process(operator: Operator) -> None:
    office = operator.playground("office")
    operator.verb(office, "start")
    pid = operator.wait(office, "running")["process"]["pid"]
    assert operator.verb(office, "start")["state"] == "running"
    operator.verb(office, "restart")
    again = operator.wait_again(office, pid)
    assert again["attempts"] == 0 and "restart" in again["process"]["last_exit"]["reason"]
    assert operator.timeline(office).count("process") == 2


def test_a_restart_asked_for_during_a_start_is_honoured_and_a_stop_ends_it(operator: Operator) -> None:
    slow = operator.faulty("slow", "slow", "1000")
    operator.verb(slow, "start")
    until(lambda: operator.gateway(slow)["process"]["pid"], "the process")
    pid = operator.gateway(slow)["process"]["pid"]
    operator.verb(slow, "restart")
    until(lambda: operator.gateway(slow)["process"]["pid"] not in (None, pid), "another process", 20)
    operator.verb(slow, "stop")
    stopped = operator.wait(slow, "stopped", 15)
    until(lambda: operator.gateway(slow)["process"]["pid"] is None, "the process to be gone", 15)
    assert stopped["wanted"] is False


@pytest.mark.parametrize("fault", ["config", "words"])
def test_a_bad_configuration_is_tried_once_and_the_reason_is_shown(operator: Operator, fault: str) -> None:
    office = operator.faulty(f"office {fault}", fault)
    operator.verb(office, "start")
    bad = operator.wait(office, "error")
    assert (bad["problem"]["code"], bad["next_attempt_at"]) == ("config_error", None)
    assert "line 14" in bad["problem"]["text"]
    assert bad["process"]["last_exit"]["code"] == (78 if fault == "config" else 1)
    assert operator.timeline(office).count("process") == 1
    operator.verb(office, "start")
    until(lambda: operator.timeline(office).count("process") == 2, "the second attempt, that a person asked for")
    operator.wait(office, "error")


def test_a_missing_binary_is_named(operator: Operator) -> None:
    office = operator.add("office", ["no-such-openclaw", "gateway"])
    operator.verb(office, "start")
    bad = operator.wait(office, "error")
    assert bad["problem"]["code"] == "command_missing" and "no-such-openclaw" in bad["problem"]["text"]


def test_a_stranger_on_the_port_is_named_and_lives_on(operator: Operator) -> None:
    port = free_port()
    environment = {**os.environ, "OPENCLAW_GATEWAY_PORT": str(port)}
    stranger = subprocess.Popen([sys.executable, "-S", local_gateway.__file__, "ready"], env=environment)
    try:
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "the stranger to listen")
        office = operator.add("office", [sys.executable, "-S", local_gateway.__file__, "ready"], port)
        operator.verb(office, "start")
        bad = operator.wait(office, "error")
        assert bad["problem"]["code"] == "port_taken" and bad["port_holder"]["pid"] == stranger.pid
        operator.verb(office, "stop")
        operator.wait(office, "stopped")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_one_that_runs_already_is_adopted_after_it_has_proved_itself(operator: Operator) -> None:
    port, token = free_port(), "a-token-they-both-know-0123456789"
    environment = {**os.environ, "OPENCLAW_GATEWAY_TOKEN": token}
    command = [sys.executable, "-m", "webapp.playground.gateway", "--port", str(port)]
    theirs = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "the gateway to listen")
        office = operator.add("office", command, port, token=token)
        operator.verb(office, "start")
        found = operator.wait(office, "running")
        assert (found["process"]["pid"], found["process"]["adopted"]) == (theirs.pid, True)
        kill(theirs.pid)
        theirs.wait()
        again = operator.wait_again(office, theirs.pid)
        assert again["process"]["adopted"] is False
    finally:
        theirs.kill()
        theirs.wait()


def test_one_that_ignores_term_is_gone_all_the_same(operator: Operator) -> None:
    office = operator.faulty("office", "stubborn")
    operator.verb(office, "start")
    pid = until(lambda: operator.gateway(office)["process"]["pid"], "the process")
    until(lambda: len(psutil.Process(pid).children()) == 1, "its child")
    operator.verb(office, "stop")
    stopped = operator.wait(office, "stopped", 20)
    assert stopped["process"]["last_exit"]["signal"] == "SIGKILL"


def test_a_flood_costs_the_hub_no_memory(hub: RunningHub, operator: Operator) -> None:
    office = operator.faulty("office", "flood")
    before = psutil.Process(hub.pid).memory_info().rss
    operator.verb(office, "start")
    until(lambda: operator.gateway(office)["process"]["pid"], "the process")
    until(lambda: operator.gateway(office)["problem"], "its flood to be over and the try to connect", 40)
    assert psutil.Process(hub.pid).memory_info().rss - before < 40 << 20


def test_a_gateway_that_runs_elsewhere_is_not_ours_to_start(operator: Operator) -> None:
    given = {"name": "far", "url": f"ws://127.0.0.1:{free_port()}", "test": False}
    far = operator.call("POST", "/gateways", given)["id"]
    status, refused = operator.hub.request("POST", f"/api/v1/gateways/{far}/start", None, operator.token)
    assert (status, refused["code"]) == (409, "wrong_state")
    operator.call("DELETE", f"/gateways/{far}")
