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
ROUNDS, WARM_UP = 60, 5
CROWD, STUCK, STUCK_ROUNDS, BURST = 195, 5, 300, 20


class Side:
    """A server with its crowd."""

    def __init__(self, server: Child, payload: int, count: int, stuck: int = 0) -> None:
        self._server = server
        self._payload = payload
        self._crowd = Child.crowd(server.hello["port"], "NUMBER", IDENTIFIER)
        self._crowd.ask("open", count, stuck)

    def seconds(self, burst: int = 1) -> float:
        """How long a burst of messages takes, from the first write to the last byte at the last reader."""
        self._crowd.ask("expect", burst, WIRE_BYTES)
        started = self._server.ask("broadcast", burst, self._payload)["started"]
        return (self._crowd.answer()["finished"] - started) / 1e9

    def end(self) -> None:
        """Ends the crowd."""
        self._crowd.end()


def beside_node(count: int) -> Row:
    """Both sides in turn; the median of the ratios of each turn, so that a busy moment hits both."""
    with Child.python("tests.bench.hub") as hub, Child.node() as node:
        ours, theirs = Side(hub, SIZE, count), Side(node, len(MESSAGE), count)
        pairs = [(ours.seconds(), theirs.seconds()) for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
        ours.end()
        theirs.end()
    detail = f"{_middle(pairs, 0):.2f} ms, Node ws {_middle(pairs, 1):.2f} ms, {ROUNDS} rounds"
    ratio = median(mine / other for mine, other in pairs)
    return Row(f"broadcast of 1 KiB to {count:,}, time beside Node ws", ratio, 0.9, detail)


def with_stuck_readers() -> Row:
    """195 readers with and without five neighbours that do not read, until well after those were cut."""
    with Child.python("tests.bench.hub") as calm_hub, Child.python("tests.bench.hub") as hub:
        calm, disturbed = Side(calm_hub, SIZE, CROWD + STUCK), Side(hub, SIZE, CROWD, STUCK)
        pairs = [(disturbed.seconds(BURST), calm.seconds(BURST)) for _ in range(STUCK_ROUNDS)][WARM_UP:]
        left = hub.ask("memory")["connections"]
        calm.end()
        disturbed.end()
    ratio = _middle(pairs, 0) / _middle(pairs, 1)
    worst = max(disturbed for disturbed, _ in pairs) * 1000
    detail = (
        f"{BURST} messages {_middle(pairs, 0):.1f} ms, undisturbed {_middle(pairs, 1):.1f} ms, "
        f"worst {worst:.0f} ms, {left} of {CROWD + STUCK} left"
    )
    return Row(f"the same to {CROWD + STUCK}, {STUCK} of them not reading, undisturbed = 1", ratio, 1.3, detail)


def _middle(pairs: list[tuple[float, float]], side: int) -> float:
    """The median of one side, in milliseconds."""
    return median(pair[side] for pair in pairs) * 1000


def rows() -> Iterator[Row]:
    """What this file measures."""
    yield beside_node(1000)
    yield beside_node(5000)
    yield with_stuck_readers()
