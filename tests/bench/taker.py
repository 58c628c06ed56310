"""Takes in what a gateway sends, with the hub's own connection and inbox, and says what it cost. Run as a process."""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import logging  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402

from models.proactive_message_buffer import ProactiveMessageBuffer  # noqa: E402
from tests.bench.recorded import frames  # noqa: E402
from webapp import logs  # noqa: E402
from webapp.gateways.bounds import Limits  # noqa: E402
from webapp.gateways.connection import GatewayConnection  # noqa: E402
from webapp.gateways.consent import Approvals  # noqa: E402
from webapp.gateways.credentials import Credentials  # noqa: E402
from webapp.gateways.inbox import Inbox  # noqa: E402
from webapp.gateways.line import Line  # noqa: E402
from webapp.gateways.speaking import Speaking  # noqa: E402
from webapp.gateways.storing import Storing  # noqa: E402
from webapp.gateways.wire import Event  # noqa: E402


def main(port: str, token: str, times: str) -> None:
    """Connects, says so, takes in all frames; then parses the same ones and nothing else."""
    logs.set_up(level=logging.WARNING)
    texts = list(frames(int(times)))
    line = Line(f"ws://127.0.0.1:{port}", "openclaw", ProactiveMessageBuffer(1800))
    streams: Any = None  # nothing is passed on: the speaker is not started
    speaking = Speaking(line, streams)
    inbox, over = Inbox(line, speaking, Storing(line, speaking), Approvals(line)), gevent.event.Event()
    taken = 0

    def hear(connection: GatewayConnection, event: Event) -> None:
        nonlocal taken
        inbox.receive(connection, event)
        taken += event.name in ("chat", "agent")
        if taken == len(texts):
            over.set()

    limits = Limits(flood_frames=10**9, flood_bytes=10**12)
    credentials = Credentials(token=token, scopes=("operator.read", "operator.write"))
    connection = GatewayConnection(line.address, credentials, "openclaw", hear, limits=limits)
    line.connection = connection
    connection.open()
    before = time.process_time()
    print(json.dumps({"port": port}), flush=True)
    assert over.wait(300), f"{taken} of {len(texts)}"
    took = time.process_time() - before
    figures = line.buffer.figures
    assert not figures.overflowed and inbox.open_runs, figures
    before = time.process_time()
    for text in texts:
        json.loads(text)
    alone = time.process_time() - before
    per_second = {"per_second": taken / took, "json_per_second": taken / alone}
    print(json.dumps({"events": taken, "ratio": alone / took, **per_second}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
