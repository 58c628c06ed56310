"""What a crew does about frames that were left out, while it is busy with those left out before."""

from typing import Any

from gevent.event import Event as Signal

from models.proactive_message_buffer import ProactiveMessageBuffer
from tests.webapp.gevent_conditions import eventually
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
