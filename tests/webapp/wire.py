"""Clients that speak raw HTTP and raw WebSocket, on gevent's sockets: they see each byte, and wait with a deadline.

They work in a process that gevent has patched and in one that it has not.
"""

import base64
import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from gevent import socket

from webapp.cable.incoming import CLOSE, PING, TEXT, unmask
from webapp.server import Limits, Server, listen

PATIENCE = 5.0
OFFER = "actioncable-v1-json, actioncable-unsupported"


@contextlib.contextmanager
def serving(app: Callable[..., Any], limits: Limits | None = None) -> Iterator[Server]:
    """A running server of ours on a port of its own; `server.server_port` is where."""
    server = Server(listen("127.0.0.1", 0), app, limits)
    server.start()
    try:
        yield server
    finally:
        server.stop(timeout=0.2)


class HttpClient:
    """One connection; `read` has the whole answer of one request."""

    def __init__(self, port: int, receive_buffer: int | None = None) -> None:
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", port))
        self._heard = b""

    def send(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self.sock.sendall(data)

    def get(self, path: str = "/", headers: str = "") -> tuple[int, dict[str, str], bytes]:
        """One request on this connection and its answer."""
        self.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        return self.read()

    def read(self) -> tuple[int, dict[str, str], bytes]:
        """(status, headers with small names, body); the answer must carry a length."""
        head, headers = self.read_head()
        return int(head.split()[1]), headers, self.take(int(headers.get("content-length", 0)))

    def read_head(self) -> tuple[str, dict[str, str]]:
        """The status line and the headers."""
        while b"\r\n\r\n" not in self._heard:
            self._more()
        head, _, self._heard = self._heard.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        while len(self._heard) < size:
            self._more()
        taken, self._heard = self._heard[:size], self._heard[size:]
        return taken

    def ended(self) -> bool:
        """Whether the server closed the connection, within the patience."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Hangs up."""
        self.sock.close()

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"hung up after {self._heard!r}")
        self._heard += data


class WireClient(HttpClient):
    """A client of `/cable` that hides nothing."""

    def __init__(
        self,
        port: int,
        path: str = "/cable",
        offer: str | None = OFFER,
        headers: str = "",
        behind: bytes = b"",
        receive_buffer: int | None = None,
    ) -> None:
        """Shakes hands; `behind` are bytes sent in the same breath. `answer` is (status, headers)."""
        super().__init__(port, receive_buffer)
        protocol = f"Sec-WebSocket-Protocol: {offer}\r\n" if offer is not None else ""
        key = base64.b64encode(os.urandom(16)).decode()
        self.send(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{protocol}{headers}\r\n".encode()
            + behind
        )
        head, answer_headers = self.read_head()
        self.answer = int(head.split()[1]), answer_headers

    def say(self, **command: Any) -> None:
        """One command of the dialect."""
        self.send(masked(TEXT, json.dumps(command).encode()))

    def subscribe(self, identifier: str) -> None:
        """Asks; does not wait."""
        self.say(command="subscribe", identifier=identifier)

    def read_frame(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next whole frame."""
        first, size = self.take(2)
        assert first & 0x70 == 0, "a reserved bit is set"
        if size >= 126:
            size = int.from_bytes(self.take(2 if size == 126 else 8))
        return first & 0x0F, self.take(size)

    def hear(self) -> dict[str, Any]:
        """The next message of the dialect; pings of both kinds are passed over."""
        while True:
            opcode, payload = self.read_frame()
            assert opcode != CLOSE, f"closed with {payload!r}"
            message = json.loads(payload) if opcode == TEXT else {}
            if opcode != PING and message.get("type") != "ping":
                return message

    def close_code(self) -> int:
        """The code of the close frame, whatever comes before it."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2])


def masked(opcode: int, payload: bytes, *, final: bool = True, mask: bytes = b"\x11\x22\x33\x44") -> bytes:
    """A client's frame."""
    size = len(payload)
    first = bytes((opcode | (0x80 if final else 0),))
    if size < 126:
        head = first + bytes((0x80 | size,))
    elif size < 65536:
        head = first + b"\xfe" + size.to_bytes(2)
    else:
        head = first + b"\xff" + size.to_bytes(8)
    return head + mask + unmask(payload, mask)
