"""A gateway of this machine comes up, is watched and goes down: with real processes, and a clock of the test's own."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import psutil
import pytest

from models.gateway_states import Problem
from tests import local_gateway
from tests.conditions import until
from tests.left_behind import none_left
from webapp import gateway_logs
from webapp.gateways.local import (
    COOL_DOWN_SECONDS,
    LONGEST_START_SECONDS,
    POLLS,
    RESTART_SECONDS,
    SILENT_POLLS,
    SLOW_START_SECONDS,
    LocalGateway,
    NotYet,
    Pace,
    Trouble,
)
from webapp.gateways.process import Identity, runs
from webapp.gateways.spawning import Launch

TOKEN = "a-token-that-is-never-shown-anywhere"
SCRIPT = local_gateway.__file__


class Clock:
    """Time that passes only while somebody sleeps, and then at once, but for a breath of real time."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, []
        self.pace = Pace(lambda: self.now, self.sleep, 0.5)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        gevent.get_hub().join(0.1)


class Started:
    """Makes gateways and ends what they left at the end of the test."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.clock = folder, Clock()
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.proof: Callable[[], str | None] = lambda: "it speaks no gateway protocol"
        self.all: list[LocalGateway] = []

    def gateway(self, *arguments: str, command: list[str] | None = None, pace: Pace | None = None) -> LocalGateway:
        launch = Launch(command or [sys.executable, "-S", SCRIPT, *arguments], self.port, TOKEN, {}, self.folder, 1)
        self.all.append(LocalGateway("office", launch, lambda: self.proof(), pace=pace or self.clock.pace))
        return self.all[-1]

    def stranger(self, *arguments: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-S", SCRIPT, *arguments],
            env={**os.environ, "OPENCLAW_GATEWAY_PORT": str(self.port)},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(self.listens, "the stranger to listen")
        return process

    def listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self) -> str:
        return "\n".join(gateway_logs.tail(self.folder, 1))


@pytest.fixture
def here(tmp_path: pathlib.Path) -> Iterator[Started]:
    started = Started(tmp_path)
    yield started
    for gateway in started.all:
        gateway.down()
    none_left(tmp_path, [started.port])


def test_it_is_started_and_found_ready(here: Started) -> None:
    office = here.gateway("slow", "3")
    process = office.up()
    assert process.alive() and not office.adopted and here.log().endswith("hello from slow")
    assert office.up() is process, "to start what runs does nothing"
    exit = office.down()
    assert exit is not None and exit.signal == "SIGTERM" and not here.listens()


def test_a_binary_that_is_missing_is_named_and_waits(here: Started) -> None:
    with pytest.raises(Trouble, match="no-such-openclaw was not found on this machine") as refused:
        here.gateway(command=["no-such-openclaw", "gateway"]).up()
    assert (refused.value.problem, refused.value.waits) == (Problem.COMMAND_MISSING, True)


@pytest.mark.parametrize("fault", ["config", "words"])
def test_a_bad_configuration_is_one_attempt_with_the_line_at_fault(here: Started, fault: str) -> None:
    with pytest.raises(Trouble) as refused:
        here.gateway(fault).up()
    assert (refused.value.problem, refused.value.waits) == (Problem.CONFIG_ERROR, True)
    assert refused.value.facts["line"] == 14
    assert refused.value.facts["line_text"].startswith("Invalid config at /etc/openclaw.json:14:3")
    assert refused.value.words == "office does not start: line 14 of its settings."


def test_one_that_ends_says_how_and_what_it_said_last(here: Started) -> None:
    with pytest.raises(Trouble, match=r"office ended by itself, code 3, after \d+ s") as failed:
        here.gateway("code", "3").up()
    assert (failed.value.problem, failed.value.waits) == (Problem.CRASHED, False)
    assert failed.value.facts["log"] == ["hello from code"]


def test_a_stranger_on_the_port_is_named_and_not_touched(here: Started) -> None:
    stranger = here.stranger("ready")
    try:
        office = here.gateway("ready")
        with pytest.raises(Trouble, match=rf"held by .*\(pid {stranger.pid}\)") as refused:
            office.up()
        assert (refused.value.problem, refused.value.waits) == (Problem.PORT_TAKEN, True)
        assert office.holder is not None and office.holder.facts()["pid"] == stranger.pid
        office.down()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_one_that_proves_to_be_ours_is_adopted_and_ended_like_our_own(here: Started) -> None:
    answers: Iterator[Any] = iter([NotYet(), None])

    def proof() -> str | None:
        if isinstance(found := next(answers), NotYet):
            raise found
        return found

    here.proof = proof
    found = here.stranger("ready")
    office = here.gateway("ready")
    assert office.up().pid == found.pid and office.adopted
    office.down()
    found.wait(10)
    assert not here.listens()


def test_a_process_of_an_earlier_hub_is_adopted_by_pid_and_start(here: Started) -> None:
    first = here.gateway("ready")
    process = first.up()
    second = here.gateway("ready")
    assert second.up(process.identity).pid == process.pid and second.adopted
    reused = Identity(process.pid, process.identity.started - 50)
    third = here.gateway("ready")
    with pytest.raises(Trouble, match="is held by"):
        third.up(reused)
    assert process.alive()


def test_one_that_hangs_in_its_start_is_given_time_and_then_restarted(here: Started) -> None:
    office = here.gateway("hangs")
    with pytest.raises(Trouble, match="does not answer yet: nothing listens yet") as failed:
        office.up()
    assert failed.value.problem is Problem.NOT_READY and len(here.clock.slept) == POLLS - 1
    assert failed.value.facts["log"] == ["hello from hangs"]
    first = office.process
    with pytest.raises(Trouble):
        office.up()
    assert office.process is first, "a slow start is no illness"
    assert first is not None
    here.clock.now += SLOW_START_SECONDS
    with pytest.raises(Trouble):
        office.up()
    assert office.process is not None and office.process.pid != first.pid and not first.alive()


def test_one_that_is_at_work_gets_longer(here: Started) -> None:
    office = here.gateway("busy")
    with pytest.raises(Trouble):
        office.up()
    first = office.process
    here.clock.now += SLOW_START_SECONDS
    with pytest.raises(Trouble):
        office.up()
    assert office.process is first
    here.clock.now += LONGEST_START_SECONDS
    with pytest.raises(Trouble):
        office.up()
    assert office.process is not first


def test_reconnect_comes_first_and_restart_second(here: Started) -> None:
    office = here.gateway("ready")
    first = office.up()
    office.connected()
    assert office.up() is first, "after a loss it is connected to again"
    office.failed()
    here.clock.slept.clear()
    second = office.up()
    assert second.pid != first.pid and not first.alive()
    assert here.clock.slept[0] == RESTART_SECONDS


def test_two_starts_are_never_closer_than_the_cool_down(here: Started) -> None:
    office = here.gateway("code", "3")
    for _ in range(2):
        with pytest.raises(Trouble):
            office.up()
    assert here.clock.now >= COOL_DOWN_SECONDS and len(here.log().splitlines()) == 2


def test_one_that_ignores_term_is_gone_with_its_child(here: Started) -> None:
    office = here.gateway("stubborn")
    family = office.up().family()
    assert len(family) == 2
    assert office.process is not None
    assert office.process.end(0.2) and not any(map(runs, family))


def test_a_flood_ends_in_a_gateway_that_is_ready_and_a_small_log(here: Started) -> None:
    office = here.gateway("flood", pace=Pace())
    process = office.up()
    assert process.alive()
    relay = process.relay
    assert relay is not None and psutil.Process(relay.pid).memory_info().rss < 24 << 20
    assert psutil.Process(os.getpid()).memory_info().rss < 1 << 30
    assert sum(file.stat().st_size for file in gateway_logs.files(here.folder, 1)) < 8 << 20


def test_a_frozen_one_is_not_waited_for_like_one_that_starts(here: Started) -> None:
    office = here.gateway("ready")
    process = office.up()
    office.connected()
    os.kill(process.pid, signal.SIGSTOP)
    here.clock.slept.clear()
    with pytest.raises(Trouble, match="does not answer yet: it does not answer"):
        office.up()
    assert len(here.clock.slept) == SILENT_POLLS - 1
    assert office.up().pid != process.pid


class Line:
    """A connection as the watch sees it."""

    def __init__(self, heard: float, answer: Exception | None = None) -> None:
        self.last_heard, self.asked, self._answer = heard, 0, answer

    def request(self, method: str, params: dict[str, Any], timeout: float) -> Any:
        self.asked += 1
        if self._answer is not None:
            raise self._answer
        return {}


def test_a_frozen_gateway_is_ill_only_when_frames_and_answers_stay_away_too(here: Started) -> None:
    office = here.gateway("ready")
    process = office.up()
    assert office.is_well(Line(-1000, ConnectionError()))
    os.kill(process.pid, signal.SIGSTOP)
    here.clock.now = 100.0
    heard, answers, silent = Line(90.0), Line(0.0), Line(0.0, ConnectionError())
    assert office.is_well(heard) and heard.asked == 0
    assert office.is_well(answers) and answers.asked == 1
    assert not office.is_well(silent) and silent.asked == 1
    assert office.watch(silent, lambda: True, 0.05).startswith("office does not answer any more")


def test_the_watch_wakes_when_the_process_ends_and_not_for_a_later_life(here: Started) -> None:
    office = here.gateway("ready")
    process = office.up()
    watch = gevent.spawn(office.watch, Line(0.0), lambda: True)
    gevent.spawn(os.kill, process.pid, signal.SIGKILL)
    assert watch.get(timeout=10) == "office ended by itself"
    trouble = office.ended()
    assert trouble is not None and "SIGKILL" in trouble.words and trouble.problem is Problem.CRASHED
    second = office.up()
    late = gevent.spawn(office.watch, Line(0.0), lambda: True)
    gevent.get_hub().join(0.05)
    office.down()
    assert late.get(timeout=10) in ("", "office ended by itself") and not second.alive()
