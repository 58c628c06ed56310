"""A gateway that does what a test tells it, on a real socket: for what no real one can be made to do."""

import base64
import contextlib
import hashlib
import json
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent import socket
from gevent import ssl as green_ssl
from gevent.server import StreamServer

from webapp.cable.incoming import CLOSE, PING, PONG, TEXT, Incoming
from webapp.cable.outgoing import encode_frame

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SCOPES = ["operator.read", "operator.write", "operator.approvals"]
NONCE = {"nonce": "n-1", "ts": 1795170763080}


class Gone(Exception):
    """The hub closed the socket."""


class Peer:
    """One connection of the hub, seen from the gateway."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.request = b""
        self.seq = 0
        self.closed_with: tuple[int, str] | None = None
        self.pings = 0
        self._incoming = Incoming(64 * 1024 * 1024)
        self._frames: list[tuple[int, bytes]] = []

    # -- the upgrade

    def read_request(self) -> bytes:
        while b"\r\n\r\n" not in self.request:
            data = self.sock.recv(65536)
            if not data:
                raise Gone
            self.request += data
        return self.request

    def header(self, name: str) -> str | None:
        for line in self.request.decode().split("\r\n")[1:]:
            if line.lower().startswith(f"{name.lower()}:"):
                return line.partition(":")[2].strip()
        return None

    def upgrade(self) -> None:
        self.read_request()
        key = (self.header("Sec-WebSocket-Key") or "").encode()
        accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest()).decode()
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.raw(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())

    def http(self, status: str, headers: str = "", body: str = "") -> None:
        self.read_request()
        self.raw(f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    # -- frames

    def raw(self, data: bytes) -> None:
        self.sock.sendall(data)

    def say(self, frame: Any) -> None:
        self.raw(encode_frame(TEXT, json.dumps(frame).encode()))

    def event(self, name: str, payload: Any = None, seq: int | None = 0) -> None:
        """An event, numbered by itself unless `seq` is given; None leaves the number out."""
        if seq == 0:
            self.seq += 1
            seq = self.seq
        self.say({"type": "event", "event": name, "payload": payload, **({} if seq is None else {"seq": seq})})

    def answer(self, asked: dict[str, Any], payload: Any = None) -> None:
        self.say({"type": "res", "id": asked["id"], "ok": True, "payload": payload})

    def refuse(self, asked: dict[str, Any], code: str, message: str = "no", **more: Any) -> None:
        self.say({"type": "res", "id": asked["id"], "ok": False, "error": {"code": code, "message": message, **more}})

    def close(self, code: int, reason: str = "") -> None:
        self.raw(encode_frame(CLOSE, code.to_bytes(2, "big") + reason.encode()))

    def hear(self) -> dict[str, Any]:
        """The hub's next request. Raises Gone when it closes; answers its pings."""
        while True:
            while self._frames:
                opcode, data = self._frames.pop(0)
                if opcode == TEXT:
                    return json.loads(data)
                if opcode == PING:
                    self.pings += 1
                    self.raw(encode_frame(PONG, data))
                if opcode == CLOSE:
                    self.closed_with = (int.from_bytes(data[:2]), data[2:].decode())
                    raise Gone
            data = self.sock.recv(65536)
            if not data:
                raise Gone
            self._frames += self._incoming.feed(data)

    def idle(self) -> None:
        """Hears the hub out, answering nothing but pings."""
        while True:
            self.hear()

    # -- the usual beginning

    def challenge(self) -> dict[str, Any]:
        """Upgrade and challenge; the connect request."""
        self.upgrade()
        self.say({"type": "event", "event": "connect.challenge", "payload": NONCE})
        return self.hear()

    def greet(self, protocol: int = 4, scopes: list[str] | None = None, **hello: Any) -> dict[str, Any]:
        """All of it; the connect request's parameters."""
        asked = self.challenge()
        policy = {"tickIntervalMs": 30_000, "maxPayload": 26_214_400, **hello.pop("policy", {})}
        auth = {"role": "operator", "scopes": SCOPES if scopes is None else scopes, **hello.pop("auth", {})}
        server = {"version": "2026.9.6", "bootId": "b-1"}
        payload = {"type": "hello-ok", "protocol": protocol, "server": server, "auth": auth, "policy": policy, **hello}
        self.answer(asked, payload)
        return asked["params"]


Script = Callable[[Peer], None]


class ScriptedGateway:
    """Runs `script` for each connection, one after the other of `scripts` first."""

    def __init__(self, *scripts: Script, context: ssl.SSLContext | None = None) -> None:
        self.scripts = list(scripts)
        self.peers: list[Peer] = []
        self.failures: list[BaseException] = []
        self._context = context
        self._server = StreamServer(("127.0.0.1", 0), self._serve)

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def _serve(self, sock: Any, address: Any) -> None:
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            peer = Peer(sock)
            self.peers.append(peer)
            script(peer)
        except (Gone, OSError):
            pass
        except AssertionError as failure:
            self.failures.append(failure)
        finally:
            with contextlib.suppress(OSError):
                sock.close()


@contextlib.contextmanager
def scripted(*scripts: Script, context: ssl.SSLContext | None = None) -> Iterator[ScriptedGateway]:
    """A running gateway; the last script serves all further connections."""
    gateway = ScriptedGateway(*scripts, context=context)
    gateway._server.start()
    try:
        yield gateway
    finally:
        gateway._server.stop(timeout=0.1)
    assert gateway.failures == []


def closed_port() -> int:
    """A port nobody listens on."""
    with contextlib.closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def server_context(certificate: str, key: str) -> Any:
    """TLS for a scripted gateway."""
    context = green_ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def soon(task: Callable[[], Any]) -> gevent.Greenlet:
    """Runs beside the test; `get` has its outcome."""
    return gevent.spawn(task)
