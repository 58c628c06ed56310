"""The parent of several processes, with workers of a few lines."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.webapp.gevent_conditions import eventually
from webapp import parent as subject
from webapp.parent import Parent, WorkersFailed
from webapp.server import listen

READY = "import os, sys, signal; os.write(int(sys.argv[3]), b'r'); "
LIVE = READY + "signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + LIVE
Make = Callable[..., Parent]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes parents whose workers run a script."""
    made: list[Parent] = []

    def one(script: str, count: int = 2) -> Parent:
        made.append(Parent([sys.executable, "-S", "-c", script], count, listen("127.0.0.1", 0)))
        return made[-1]

    yield one
    for parent in made:
        parent.kill()


def test_it_starts_as_many_as_it_was_told_and_waits_for_them(make: Make) -> None:
    parent = make(LIVE, 3)
    parent.start()
    assert len(parent.pids()) == 3
    parent.stop()
    assert parent.pids() == []


def test_a_worker_that_says_it_cannot_start_ends_the_start(make: Make) -> None:
    parent = make("import sys; sys.exit(1)")
    with pytest.raises(WorkersFailed, match="ended with code 1"):
        parent.start()


def test_workers_that_never_accept_end_the_start(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "START_SECONDS", 0.5)
    parent = make("import signal; signal.pause()")
    with pytest.raises(WorkersFailed, match="do not start"):
        parent.start()
    parent.stop()
    assert parent.pids() == []


def test_one_that_was_killed_while_it_started_is_started_again(make: Make, tmp_path: Path) -> None:
    mark = tmp_path / "was here"
    once = f"import os, pathlib; p = pathlib.Path({str(mark)!r}); n = p.exists(); p.touch(); n or os.abort(); "
    parent = make(once + LIVE, 1)
    parent.start()
    assert len(parent.pids()) == 1


def test_one_that_dies_is_replaced_and_the_others_stay(make: Make) -> None:
    parent = make(LIVE)
    parent.start()
    victim, other = parent.pids()
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: victim not in parent.pids() and len(parent.pids()) == 2)
    assert other in parent.pids()


def test_one_that_dies_again_and_again_comes_later_each_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "RETRY_SECONDS", (0.0, 0.0, 0.0, 600.0))
    parent = make(READY + "sys.exit(3)", 1)
    starts: list[int] = []
    live = parent._live
    monkeypatch.setattr(parent, "_live", lambda seat: starts.append(seat) or live(seat))
    parent.start()
    eventually(lambda: len(starts) == 3 and not parent.pids())
    parent.stop()
    assert len(starts) == 3


def test_one_that_does_not_end_when_asked_is_killed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "STOP_SECONDS", 0.3)
    parent = make(STUBBORN)
    parent.start()
    assert len(parent.pids()) == 2
    parent.stop()
    assert parent.pids() == []


def test_a_stop_while_one_waits_for_its_next_start_is_not_held_up(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "RETRY_SECONDS", (600.0,))
    parent = make(LIVE)
    parent.start()
    victim = parent.pids()[0]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(parent.pids()) == 1)
    parent.stop()
    assert parent.pids() == []
