"""What a crew does about what comes while it is busy: frames that were left out, work for a gateway it reads again."""

from types import SimpleNamespace
from typing import Any

import pytest
from gevent.event import Event as Signal

from models.proactive_message_buffer import ProactiveMessageBuffer
from tests.webapp.gevent_conditions import eventually
from webapp.gateways import crew as crews
from webapp.gateways.crew import Crew
from webapp.gateways.line import Line


def test_what_is_missed_while_histories_are_read_has_them_read_again() -> None:
    nothing: Any = object()
    crew = Crew(Line("ws://harbor:1", "openclaw", ProactiveMessageBuffer(60)), nothing, nothing)
    crew.couriers[1] = nothing
    read, go_on = list[int](), Signal()

    def look_again(gateway_id: int) -> None:
        read.append(gateway_id)
        go_on.wait(10)

    crew._look_again = look_again  # type: ignore[method-assign]
    crew.missed()
    eventually(lambda: read == [1])
    crew.missed()
    go_on.set()
    assert eventually(lambda: read == [1, 1])


class Sends:
    """A courier that only counts."""

    def __init__(self) -> None:
        self.runs = 0
        self.looks = Signal()
        self.looked = False

    def after_connect(self) -> None:
        self.looks.wait(10)
        self.looked = True

    def run(self) -> None:
        assert self.looked, "sent before it was known what the gateway has"
        self.runs += 1


def test_work_goes_out_while_histories_are_read_but_not_before_it_is_known_what_the_gateway_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nothing: Any = object()
    crew = Crew(Line("ws://harbor:1", "openclaw", ProactiveMessageBuffer(60)), nothing, nothing)
    reads, ends, courier = Signal(), Signal(), Sends()

    def catch_up(*_: Any) -> None:
        reads.set()
        ends.wait(10)

    monkeypatch.setattr(crews, "catch_up", catch_up)
    monkeypatch.setattr(crews, "Courier", lambda *_: courier)
    monkeypatch.setattr(crew.approvals, "list_all", lambda: None)
    monkeypatch.setattr(crew, "answer_requests", lambda id: None)
    crew.greeted(1, "Harbor")
    crew.work(1)
    courier.looks.set()
    assert reads.wait(10)
    assert eventually(lambda: courier.runs == 1)
    crew.work(1)
    assert eventually(lambda: courier.runs == 2)
    ends.set()


def test_work_is_brought_by_a_courier_alone_and_by_nobody_before_there_is_one() -> None:
    nothing: Any = object()
    crew = Crew(Line("ws://harbor:1", "openclaw", ProactiveMessageBuffer(60)), nothing, nothing)
    assert not crew.deliver(1)
    brought = Signal()
    crew.couriers[1] = SimpleNamespace(run=brought.set)  # type: ignore[assignment]
    assert crew.deliver(1) and brought.wait(10)
