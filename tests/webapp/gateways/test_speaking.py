"""How often what a run says is stored for other processes."""

from collections.abc import Sequence
from typing import Any

import pytest

from models.proactive_message_buffer import BufferedRun, ProactiveMessageBuffer
from webapp.gateways import speaking as module
from webapp.gateways.line import About, Line, now_utc
from webapp.gateways.speaking import LETTERS_A_SECOND, Speaking

SHORT, LONG = "short", "long"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, to be set."""
    found = [1_000.0]
    monkeypatch.setattr(module, "clock", lambda: found[0])
    return found


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that were stored, in place of the database."""
    found: list[str] = []

    def store(self: Speaking, runs: Sequence[BufferedRun]) -> None:
        found.extend(run.run_id for run in runs)

    monkeypatch.setattr(Speaking, "_store", store)
    return found


def test_a_long_text_is_stored_less_often_than_a_short_one_and_never_forgotten(
    now: list[float], stored: list[str]
) -> None:
    streams: Any = None
    line = Line("ws://harbor:1", "openclaw", ProactiveMessageBuffer(60))
    speaking = Speaking(line, streams)

    def say(run_id: str, text: str) -> None:
        run = line.buffer.hear(run_id, "agent:main:x", "main", now[0], text=text)
        assert run is not None
        speaking.known(run_id, About(1, "Harbor", None, 1, 1, "pilot", now_utc()))
        speaking.changed(run)

    for second in range(9):
        say(SHORT, f"Half an answer {second}")
        say(LONG, "x" * (4 * LETTERS_A_SECOND) + str(second))
        speaking._store_all()
        now[0] += 1.0
    assert stored.count(SHORT) == 9 and stored.count(LONG) == 2
    for _ in range(4):
        speaking._store_all()
        now[0] += 1.0
    assert stored.count(SHORT) == 9 and stored.count(LONG) == 3
