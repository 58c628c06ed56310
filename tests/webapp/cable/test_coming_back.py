"""Many who come back to open work at once: a few at a time, so that others find a connection of the pool."""

import threading

import pytest

from models.arrivals import Arrival, Arrived, Outcome
from tests.conditions import until
from webapp.cable import agent_channel
from webapp.together import Together

MANY, FEW = 20, 5


def test_those_with_work_come_a_few_at_a_time_and_all_come(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Arrival] = []
    inside, most, go, guard = [0], [0], threading.Event(), threading.Lock()

    def together(coming: list[Arrival]) -> list[Arrived]:
        asked.extend(coming)
        return [Arrived(Outcome.WORK)] * len(coming)

    def alone(arrival: Arrival, arrived: Arrived) -> Arrived:
        with guard:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        assert go.wait(30)
        with guard:
            inside[0] -= 1
        return arrived

    monkeypatch.setattr(agent_channel, "_arriving", Together(together))
    monkeypatch.setattr(agent_channel, "subscribe_alone", alone)
    heard: list[Arrived] = []
    threads = [
        threading.Thread(target=lambda n=n: heard.append(agent_channel.subscribe(Arrival(n, 1, None, str(n), None))))  # type: ignore[misc]
        for n in range(MANY)
    ]
    for thread in threads:
        thread.start()
    until(lambda: len(asked) == MANY and inside[0] >= FEW, "all to have asked", 30)
    go.set()
    for thread in threads:
        thread.join(30)
    assert most[0] == FEW and heard == [Arrived(Outcome.WORK)] * MANY
