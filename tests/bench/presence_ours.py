"""Our own subscribe and leave, as the cable calls them, by eight greenlets; prints pairs a second."""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import random  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import uuid  # noqa: E402

import gevent  # noqa: E402

from models import database  # noqa: E402
from models.arrivals import Arrival  # noqa: E402
from tests.bench.presence import CLIENTS, SECONDS  # noqa: E402
from webapp.cable.agent_channel import leave, subscribe  # noqa: E402


def main(owner: int, first: int, last: int) -> float:
    """Pairs a second."""
    database.connect(os.environ["BENCH_URL"], ["bench"])
    ends = time.monotonic() + SECONDS
    counts = [gevent.spawn(_come_and_go, number, owner, (first, last), ends) for number in range(CLIENTS)]
    return sum(greenlet.get() for greenlet in counts) / SECONDS


def _come_and_go(number: int, owner: int, agents: tuple[int, int], ends: float) -> int:
    pairs = 0
    while time.monotonic() < ends:
        token = uuid.uuid4().hex
        subscribe(Arrival(random.randint(*agents), owner, f"s{number}", token, 1))
        leave(token)
        pairs += 1
    return pairs


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
