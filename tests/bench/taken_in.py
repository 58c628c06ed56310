"""How many events of a gateway one greenlet takes in, beside parsing the same frames as JSON and nothing else.

The processor's time is compared, not the clock's: whoever else works on the machine does not count.
"""

from collections.abc import Iterator

from tests.bench.process import Child
from tests.bench.recorded import frames
from tests.bench.row import Row
from webapp.playground.gateway import PlaygroundGateway
from webapp.playground.gateway.hostile import BACKLOG, some

TURNS, MARK = 600, 0.08


def rows() -> Iterator[Row]:
    """One row."""
    gateway, texts = PlaygroundGateway(tick=3600.0).start(), frames(TURNS)
    try:
        with Child.python("tests.bench.taker", str(gateway.port), gateway.token, str(TURNS)) as taker:
            [connection] = gateway.connections
            while (turn := some(texts)) and connection.wire.wait_below(BACKLOG):
                connection.wire.flood(turn)
            took = taker.answer()
    finally:
        gateway.crash()
    detail = f"{took['events']:,} events, {took['per_second']:,.0f} beside {took['json_per_second']:,.0f} a second"
    yield Row("gateway events taken in, against JSON parsing alone", took["ratio"], MARK, detail, at_least=True)
