"""The hub itself stops, or is killed: what it started is ended, left, or found again, and never doubled."""

import psutil
import pytest

from models import gateway_changes
from models.base import database_time
from models.database import transaction
from tests.conditions import until
from tests.hub import RunningHub, wait_ready
from tests.journeys.supervised import Operator, kill


@pytest.mark.parametrize("on_stop", ["stop", "leave"])
def test_the_hubs_own_stop_obeys_what_was_set(database_url: str, on_stop: str) -> None:
    with RunningHub(database_url, on_stop=on_stop) as hub:
        wait_ready(hub)
        operator = Operator(hub)
        office = operator.playground(f"office that is to {on_stop}")
        operator.verb(office, "start")
        pid = operator.wait(office, "running")["process"]["pid"]
        assert hub.stop() == 0
        if on_stop == "leave":
            assert psutil.Process(pid).is_running()
        else:
            operator.none_left()
        hub.start()
        wait_ready(hub)
        until(lambda: operator.gateway(office)["connection"] == "connected", "the connection", 30)
        assert (operator.gateway(office)["process"]["pid"] == pid) is (on_stop == "leave")
        operator.verb(office, "stop")
        operator.wait(office, "stopped")
        operator.call("DELETE", f"/gateways/{office}")


def test_a_hub_that_is_killed_finds_its_children_and_their_relays_again(database_url: str) -> None:
    with RunningHub(database_url) as hub:
        wait_ready(hub)
        operator = Operator(hub)
        office = operator.playground("office of a killed hub")
        operator.verb(office, "start")
        pid = operator.wait(office, "running")["process"]["pid"]
        there = operator.processes()
        hub.kill()
        hub.start()
        wait_ready(hub)
        until(lambda: operator.gateway(office)["connection"] == "connected", "the connection", 30)
        assert operator.gateway(office)["process"]["pid"] == pid and operator.processes() == there
        kill(pid)
        operator.wait_again(office, pid)
        operator.verb(office, "stop")
        operator.wait(office, "stopped")
        operator.call("DELETE", f"/gateways/{office}")


def test_what_was_stopped_while_the_hub_was_dead_is_ended_when_it_is_back(database_url: str) -> None:
    with RunningHub(database_url) as hub:
        wait_ready(hub)
        operator = Operator(hub)
        office = operator.playground("office that was stopped meanwhile")
        operator.verb(office, "start")
        pid = operator.wait(office, "running")["process"]["pid"]
        hub.kill()
        with transaction() as session:
            row = gateway_changes.named(session, "office that was stopped meanwhile")
            gateway_changes.stop(session, row, None, database_time(session))
        hub.start()
        wait_ready(hub)
        until(lambda: operator.gateway(office)["process"]["pid"] is None, "the process to be ended", 30)
        assert pid not in {one for one, _ in operator.processes()} and operator.gateway(office)["state"] == "stopped"
        operator.call("DELETE", f"/gateways/{office}")
