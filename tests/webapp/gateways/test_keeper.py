"""The process of a managed gateway in its row: what is found there at every step, and who may write it."""

import os
import pathlib
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import gevent
import psutil
import pytest

from models import gateway_work
from models.activity import Activity
from models.database import transaction
from models.gateway import Gateway
from models.gateway_states import Problem
from models.process import host
from tests import local_gateway
from tests.left_behind import none_left
from webapp.gateways.keeper import ProcessKeeper
from webapp.gateways.local import Pace, Trouble

QUICK = Pace(sleep=lambda seconds: gevent.get_hub().join(min(seconds, 0.1)), ask_seconds=0.5)


class Line:
    """A connection that is open until somebody closes it."""

    def __init__(self) -> None:
        self.last_heard, self.is_open, self.why = 0.0, True, ""

    def request(self, method: str, params: object, timeout: float) -> object:
        raise ConnectionError

    def close(self, reason: str) -> None:
        self.is_open, self.why = False, reason


class Office:
    """A managed gateway with a row, and its keepers."""

    def __init__(self, folder: pathlib.Path, *fault: str) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = self.port = server.getsockname()[1]
        with transaction() as session:
            address = f"ws://127.0.0.1:{port}"
            gateway = Gateway(name=f"office {port}", url=address, address=address, token="t" * 20, managed=True)
            gateway.env = '{"OF_ITS_OWN":"yes"}'
            gateway.port, gateway.command = port, [sys.executable, "-S", local_gateway.__file__, *fault]
            session.add(gateway)
            session.flush()
            self.id = gateway.id
        self.keepers: list[ProcessKeeper] = []

    def keeper(self, prove: Callable[[], str | None] = lambda: "it is somebody else") -> ProcessKeeper:
        with transaction() as session:
            session.get_one(Gateway, self.id).held_until = None
            epoch = Gateway.hold(session, self.id, 1)
        made = ProcessKeeper(self.id, epoch or 0, self.folder, pace=QUICK, prove=lambda *_: prove, health_seconds=0.05)
        self.keepers.append(made)
        return made

    def row(self) -> Gateway:
        with transaction() as session:
            return session.get_one(Gateway, self.id)

    def told(self) -> list[str]:
        with transaction() as session:
            return [line.event for line in session.query(Activity).filter_by(gateway_id=self.id).order_by(Activity.id)]


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Callable[..., Office]]:
    made: list[Office] = []

    def make(*fault: str) -> Office:
        made.append(Office(tmp_path, *fault))
        return made[-1]

    yield make
    for one in made:
        for keeper in one.keepers:
            keeper.down()
    none_left(tmp_path, [one.port for one in made])


def test_the_row_knows_the_process_from_its_start_to_its_end(office: Callable[..., Office]) -> None:
    here = office("ready")
    keeper = here.keeper()
    keeper.up()
    row = here.row()
    assert keeper.process is not None
    assert (row.pid, row.pid_host, row.adopted) == (keeper.process.pid, host(), False)
    assert row.process_started_at is not None and row.last_exit is None
    keeper.down()
    row = here.row()
    assert (row.pid, row.pid_started, row.process_started_at) == (None, None, None)
    assert row.last_exit is not None and row.last_exit["signal"] == "SIGTERM" and row.last_exit["at"].endswith("Z")
    assert here.told() == ["process", "exit"]


def test_its_process_is_given_what_is_sealed_in_the_row(office: Callable[..., Office]) -> None:
    here = office("ready")
    keeper = here.keeper()
    keeper.up()
    assert keeper.process is not None
    given = psutil.Process(keeper.process.pid).environ()
    assert (given["OF_ITS_OWN"], given["OPENCLAW_GATEWAY_TOKEN"]) == ("yes", "t" * 20)


def test_a_hub_that_was_killed_finds_its_child_again(office: Callable[..., Office]) -> None:
    here = office("ready")
    first = here.keeper()
    first.up()
    second = here.keeper()
    second.up()
    assert first.process is not None and second.process is not None
    assert second.process.pid == first.process.pid and here.told() == ["process"]
    second.down()
    assert not first.process.alive() and here.row().pid is None


def test_one_that_ended_while_no_hub_looked_is_told_of_and_started_again(office: Callable[..., Office]) -> None:
    here = office("ready")
    first = here.keeper()
    first.up()
    assert first.process is not None
    os.kill(first.process.pid, signal.SIGKILL)
    assert first.process.wait(10)
    second = here.keeper()
    second.up()
    assert here.told() == ["process", "exit", "process"]
    assert "did not look after it" in here.row().last_exit["reason"]


def test_a_hub_that_stops_may_leave_it_running(office: Callable[..., Office]) -> None:
    here = office("ready")
    keeper = here.keeper()
    keeper.up()
    process = keeper.process
    keeper.down(leave=True)
    assert process is not None and process.alive() and here.row().pid == process.pid


def test_one_that_is_stopped_by_a_hub_that_has_just_started_is_ended(office: Callable[..., Office]) -> None:
    here = office("ready")
    here.keeper().up()
    pid = here.row().pid
    here.keeper().down()
    assert here.row().pid is None and pid is not None
    assert here.keepers[0].process is not None and not here.keepers[0].process.alive()


def test_one_that_ran_on_a_machine_that_is_gone_is_no_longer_in_the_row(office: Callable[..., Office]) -> None:
    here = office("ready")
    with transaction() as session:
        row = session.get_one(Gateway, here.id)
        row.pid, row.pid_started, row.pid_host = os.getpid(), 1.0, "a container of yesterday"
        row.wanted = False
    here.keeper().down()
    assert here.row().pid is None and "yesterday" in here.row().last_exit["reason"]
    with transaction() as session:
        session.get_one(Gateway, here.id).held_until = None
        assert here.row().address not in gateway_work.to_take(session)
    here.keeper().down()
    assert here.told() == ["exit"]


def test_its_end_closes_the_connection_and_is_the_cause_of_the_loss(office: Callable[..., Office]) -> None:
    here = office("ready")
    keeper, line = here.keeper(), Line()
    keeper.up()
    keeper.connected(line)
    assert keeper.process is not None
    gevent.spawn(os.kill, keeper.process.pid, signal.SIGKILL)
    gevent.get_hub().join(0.01)
    _until_closed(line)
    trouble = keeper.lost()
    assert trouble is not None and trouble.problem is Problem.CRASHED and "SIGKILL" in trouble.words
    assert here.row().last_exit == {**(here.row().last_exit or {}), "code": None, "signal": "SIGKILL"}
    assert keeper.lost() is None


def test_a_frozen_one_is_noticed_connected_again_and_then_started_again(office: Callable[..., Office]) -> None:
    here = office("ready")
    keeper, line = here.keeper(), Line()
    keeper.up()
    keeper.connected(line)
    frozen = keeper.process
    assert frozen is not None
    os.kill(frozen.pid, signal.SIGSTOP)
    _until_closed(line)
    trouble = keeper.lost()
    assert trouble is not None and trouble.problem is Problem.NOT_READY and "does not answer any more" in trouble.words
    keeper.failed()
    keeper.up()
    assert keeper.process is not None and keeper.process.pid != frozen.pid and not frozen.alive()
    assert here.told() == ["process", "exit", "process"]


def test_a_restart_is_a_stop_and_a_start(office: Callable[..., Office]) -> None:
    here = office("ready")
    keeper = here.keeper()
    keeper.up()
    before = here.row().pid
    keeper.restart(" by Mira")
    assert here.row().last_exit["reason"] == "Stopped for a restart by Mira."
    keeper.up()
    assert here.row().pid not in (None, before)


def test_who_holds_the_port_is_in_the_row_until_it_is_gone(office: Callable[..., Office]) -> None:
    here = office("ready")
    with socket.create_server(("127.0.0.1", here.row().port or 0)):
        with pytest.raises(Trouble, match="is held by"):
            here.keeper().up()
        assert (here.row().port_holder or {})["pid"] == os.getpid()
    here.keeper().up()
    assert here.row().port_holder is None


def test_a_keeper_whose_lease_is_over_writes_nothing(office: Callable[..., Office]) -> None:
    here = office("ready")
    keeper = here.keeper()
    with transaction() as session:
        session.get_one(Gateway, here.id).hold_epoch += 1
    keeper.up()
    assert here.row().pid is None and here.told() == []


def _until_closed(line: Line) -> None:
    with gevent.Timeout(10):
        while line.is_open:
            gevent.get_hub().join(0.05)
