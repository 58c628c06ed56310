"""A small hub on a real socket, without a database: `/cable?token=<user id>` and one channel that the tests steer."""

from dataclasses import dataclass, field
from typing import Any

from flask import Flask, request
from flask_sock import Sock

from tests.webapp.wire import WireClient
from webapp.cable import handshake
from webapp.cable.channel import Channel
from webapp.cable.connection import Connection
from webapp.cable.refusal import refuse_slowly
from webapp.cable.sockets import Sockets
from webapp.server import Server


@dataclass(frozen=True)
class Person:
    id: int


@dataclass
class Stage:
    """What the tests look at and play with."""

    sockets: Sockets
    port: int = 0
    server: Server | None = None
    channels: list["StageChannel"] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    on_subscribe: Any = None  # called by a channel that is being subscribed; its answer is the channel's
    on_leave: Any = None
    refuse_seconds: float = 4.0

    def client(self, token: object = 1, **options: Any) -> WireClient:
        """A client that has heard its welcome."""
        client = WireClient(self.port, f"/cable?token={token}", **options)
        assert client.hear() == {"type": "welcome"}
        return client

    def subscribed(self, identifier: str, **options: Any) -> WireClient:
        """A client whose subscription was confirmed."""
        client = self.client(**options)
        client.subscribe(identifier)
        assert client.hear() == {"type": "confirm_subscription", "identifier": identifier}
        return client

    def broadcast(self, payload: bytes) -> list[bool]:
        """The same frame to every channel, as a stream does."""
        frames = {channel.identifier: channel.frame(payload) for channel in self.channels}
        return [channel.send_frame(frames[channel.identifier]) for channel in list(self.channels)]


class StageChannel(Channel):
    """Writes down what happens to it."""

    actions = frozenset({"echo", "fail"})
    stage: Stage

    def subscribed(self) -> bool:
        self.stage.log.append("subscribed")
        self.stage.channels.append(self)
        return self.stage.on_subscribe(self) if self.stage.on_subscribe else True

    def unsubscribed(self) -> None:
        self.stage.log.append("left")
        if self in self.stage.channels:
            self.stage.channels.remove(self)
        if self.stage.on_leave:
            self.stage.on_leave(self)

    def echo(self, data: dict[str, Any]) -> None:
        self.stage.log.append(f"echo {data.get('word')}")
        self.send(b'{"echo":"%s"}' % str(data.get("word")).encode())

    def fail(self, data: dict[str, Any]) -> None:
        raise RuntimeError("a fault of ours")


def make_app(stage: Stage) -> Flask:
    """The door, as the endpoint builds it."""
    app = Flask(__name__)
    app.config["SOCK_SERVER_OPTIONS"] = handshake.SOCK_SERVER_OPTIONS
    sock = Sock(app)
    channel = type("StageChannel", (StageChannel,), {"stage": stage})

    @app.before_request
    def check() -> Any:
        if problem := handshake.handshake_problem(request.environ):
            return problem, 404
        accept, chosen = handshake.choose_subprotocol(request.headers.get("Sec-WebSocket-Protocol"))
        if not accept:
            return "no dialect in common", 400
        handshake.prepare_handshake(request.environ, chosen)
        return None

    @sock.route("/cable")
    def cable(opened: Any) -> None:
        token = request.args["token"]
        if token == "stranger":
            handshake.take_over(opened, lambda socket: refuse_slowly(socket, stage.refuse_seconds))
            return
        person = Person(int(token))
        handshake.take_over(opened, lambda socket: Connection(socket, person, {"C": channel}, stage.sockets).run())

    return app
