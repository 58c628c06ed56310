"""One message to many subscribers: our cable beside a Node server on `ws`, and with some clients that do not read."""

from collections.abc import Iterator
from statistics import median

from tests.bench.process import Child
from tests.bench.readers import IDENTIFIER
from tests.bench.row import Row
from webapp.cable import frames
from webapp.cable.outgoing import encode_text

SIZE = 1024
MESSAGE = frames.message(IDENTIFIER, b'"' + b"x" * (SIZE - 2) + b'"')
WIRE_BYTES = len(encode_text(MESSAGE))
ROUNDS = 15
BURST = 5
CROWD, STUCK, STUCK_ROUNDS = 195, 5, 300


class Side:
    """A server with its crowd."""

    def __init__(self, server: Child, payload: int, count: int, stuck: int = 0) -> None:
        self._server = server
        self._payload = payload
        self._crowd = Child.python("tests.bench.readers", str(server.hello["port"]))
        self._crowd.ask("open", count, stuck)

    def seconds(self, burst: int = BURST) -> float:
        """How long a burst of messages takes, from the first write to the last byte at the last reader."""
        self._crowd.ask("expect", burst, WIRE_BYTES)
        started = self._server.ask("broadcast", burst, self._payload)["started"]
        return (self._crowd.answer()["finished"] - started) / 1e9

    def end(self) -> None:
        """Ends the crowd."""
        self._crowd.end()


def beside_node(count: int) -> Row:
    """Both sides in turn, medians of the rounds."""
    with Child.python("tests.bench.hub") as hub, Child.node() as node:
        ours, theirs = Side(hub, SIZE, count), Side(node, len(MESSAGE), count)
        pairs = [(ours.seconds(), theirs.seconds()) for _ in range(ROUNDS)][2:]
        ours.end()
        theirs.end()
    mine, other = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    detail = f"{mine / BURST * 1000:.2f} ms a message, Node ws {other / BURST * 1000:.2f} ms"
    return Row(f"broadcast of 1 KiB to {count:,}, time beside Node ws", mine / other, 0.9, detail)


def with_stuck_readers() -> Row:
    """195 readers with and without five neighbours that do not read, until well after those were cut."""
    with Child.python("tests.bench.hub") as calm_hub, Child.python("tests.bench.hub") as hub:
        calm, disturbed = Side(calm_hub, SIZE, CROWD + STUCK), Side(hub, SIZE, CROWD, STUCK)
        pairs = [(calm.seconds(20), disturbed.seconds(20)) for _ in range(STUCK_ROUNDS)][2:]
        left = hub.ask("memory")["connections"]
        calm.end()
        disturbed.end()
    undisturbed, beside = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    worst = max(pair[1] for pair in pairs) * 1000
    detail = (
        f"{beside * 50:.2f} ms a message, undisturbed {undisturbed * 50:.2f}, worst burst {worst:.0f} ms, {left} left"
    )
    return Row("the same to 195 with 5 that do not read, undisturbed = 1", beside / undisturbed, 1.3, detail)


def rows() -> Iterator[Row]:
    """What this file measures."""
    yield beside_node(1000)
    yield beside_node(5000)
    yield with_stuck_readers()
