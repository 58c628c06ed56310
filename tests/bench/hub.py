"""The hub's own server and cable, with a channel that everybody may subscribe to. Run as a process by the rows."""

from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from typing import Any  # noqa: E402

from flask import Flask, request  # noqa: E402
from flask_sock import Sock  # noqa: E402
from gevent.fileobject import FileObject  # noqa: E402

from webapp import logs  # noqa: E402
from webapp.cable import handshake  # noqa: E402
from webapp.cable.channel import Channel  # noqa: E402
from webapp.cable.connection import Connection  # noqa: E402
from webapp.cable.sockets import Sockets  # noqa: E402
from webapp.server import Server, listen, raise_file_limit  # noqa: E402

followers: dict["BenchChannel", None] = {}
sockets = Sockets(ping_seconds=3600)


@dataclass(frozen=True)
class Person:
    id: int


class BenchChannel(Channel):
    """One stream for all, as a topic page has."""

    def subscribed(self) -> bool:
        followers[self] = None
        return True

    def unsubscribed(self) -> None:
        followers.pop(self, None)


def make_app() -> Flask:
    """`/cable`, with the token in the query as agent plugins send it."""
    app = Flask(__name__)
    app.config["SOCK_SERVER_OPTIONS"] = handshake.SOCK_SERVER_OPTIONS
    sock = Sock(app)

    @app.before_request
    def prepare() -> None:
        _, chosen = handshake.choose_subprotocol(request.headers.get("Sec-WebSocket-Protocol"))
        handshake.prepare_handshake(request.environ, chosen)

    @sock.route("/cable")
    def cable(opened: Any) -> None:
        person = Person(id=int(request.args["token"]))
        channels = {"BenchChannel": BenchChannel}
        handshake.take_over(opened, lambda socket: Connection(socket, person, channels, sockets).run())

    return app


def broadcast(count: int, size: int) -> int:
    """`count` messages, each encoded once; returns when it began, in nanoseconds of the monotonic clock."""
    started = time.monotonic_ns()
    text = b'"' + b"x" * (size - 2) + b'"'
    for _ in range(count):
        frame = b""
        for follower in list(followers):
            frame = frame or follower.frame(text)
            follower.send_frame(frame)
    return started


def memory() -> dict[str, int]:
    """What the process holds in RAM of its own."""
    gc.collect()
    with open("/proc/self/smaps_rollup") as rollup:
        private = [int(line.split()[1]) for line in rollup if line.startswith("Private_")]
    return {"bytes": sum(private) * 1024, "connections": len(sockets)}


def main() -> None:
    """Serves, and obeys the lines on standard input."""
    raise_file_limit()
    logs.set_up(level=logging.WARNING)
    listener = listen("127.0.0.1", 0, backlog=4096)
    Server(listener, make_app()).start()
    sockets.start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    for line in FileObject(sys.stdin.buffer, "rb"):
        verb, *numbers = line.decode().split()
        answer = {"started": broadcast(*map(int, numbers))} if verb == "broadcast" else memory()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
