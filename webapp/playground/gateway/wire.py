"""One WebSocket on an accepted connection, with all that a well-behaved library would not let us do."""

import contextlib
import socket
import struct
import threading
import time
from collections import deque

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from webapp.playground.gateway.tls import TlsSocket

KEPT = 52_428_800  # bytes of unsent data, as policy.maxBufferedBytes says
FRAME = 26_214_400  # the largest message taken, as policy.maxPayload says
FIRST = 65_536  # ... before the handshake
GOODBYE = 0.5  # seconds for the other side to answer a close


class Wire:
    """A reader (`receive`, on the caller's thread) and a writer of its own: whoever sends never waits for a client."""

    def __init__(self, raw: socket.socket | TlsSocket) -> None:
        self.open = True
        self.ponged = time.monotonic()
        self.largest = FIRST
        self.frozen = False  # nothing is written and no ping answered, while the connection stays
        self._raw = raw
        self._ws = Connection(ConnectionType.SERVER)
        self._queue: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write, name="playground-wire", daemon=True)
        self._thread.start()

    def send(self, text: str, *, not_before: float = 0.0, droppable: bool = False) -> bool:
        """Queue one text frame, sent at `not_before` (monotonic) at the earliest. False when it was left out.

        A client that lets 50 MiB pile up misses what is droppable; for anything else it is a slow consumer and goes.
        """
        text = text.encode(errors="replace").decode()  # half a surrogate pair cannot be sent
        with self._changed:
            if not self.open or self._closing:
                return False
            if self._bytes + len(text) > KEPT:
                if not droppable:
                    self._bytes = 0
                    self._queue.clear()
                    self._say_goodbye(1008, "slow consumer")
                return False
            try:
                self._put(self._ws.send(TextMessage(text)), not_before)
            except LocalProtocolError:  # the client has just said goodbye
                return False
        return True

    def flood(self, texts: list[str]) -> bool:
        """Many text frames in one go, framed by hand, which is several times faster; False when it is over."""
        frames = b"".join(_framed(text.encode(errors="replace")) for text in texts)
        with self._changed:
            if not self.open or self._closing:
                return False
            self._put(frames)
        return True

    def send_raw(self, data: bytes) -> None:
        """Bytes that need not be a frame at all."""
        with self._changed:
            self._put(data)

    def send_binary(self, data: bytes) -> None:
        """A binary frame, which the protocol does not know."""
        with self._changed:
            self._put(self._ws.send(BytesMessage(data)))

    def ping(self) -> None:
        """A WebSocket ping; `ponged` tells when the last one was answered."""
        with self._changed, contextlib.suppress(LocalProtocolError):
            self._put(self._ws.send(Ping()))

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye after all that is queued."""
        with self._changed:
            self._say_goodbye(code, reason)

    def cut(self) -> None:
        """End it as a crash does: the other side sees a reset, nothing queued is sent."""
        with self._changed:
            self.open = False
            self._queue.clear()
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            # shutdown wakes the reader; the reset is sent when the descriptor is closed
            self._raw.shutdown(socket.SHUT_RD)
        with contextlib.suppress(OSError):
            self._raw.close()

    def finish(self) -> None:
        """End it once what is queued has been sent, without a reset: the other side can read all of it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._queue or not self.open or self.frozen, GOODBYE)
        self._end()

    def freeze(self, frozen: bool) -> None:
        """Hold everything back, or let it go."""
        with self._changed:
            self.frozen = frozen
            self._changed.notify_all()

    def wait_below(self, size: int, seconds: float = 30.0) -> bool:
        """Block until less than `size` bytes wait to be sent; False when the connection ended or did not move."""
        with self._changed:
            self._changed.wait_for(lambda: not self.open or self._bytes < size, seconds)
            return self.open and self._bytes < size

    def patience(self, seconds: float | None) -> None:
        """How long `receive` waits before it raises TimeoutError."""
        self._raw.settimeout(seconds)

    def receive(self) -> str | None:
        """The next text; None when the connection is over. A binary message is an empty text: nothing we can read."""
        parts: list[str] = []
        size = 0
        while True:
            for event in self._ws.events():
                if isinstance(event, TextMessage | BytesMessage):
                    size += len(event.data)
                    if size > self.largest:
                        self.close(1009, "message too big")
                        self._drain()
                        return None
                    parts.append(event.data if isinstance(event, TextMessage) else "")
                    if event.message_finished:
                        return "".join(parts)
                elif isinstance(event, Ping):
                    with self._changed:
                        self._put(self._ws.send(event.response()))
                elif isinstance(event, Pong):
                    self.ponged = time.monotonic()
                elif isinstance(event, CloseConnection):
                    self._answer_goodbye(event)
                    return None
            if not self._read():
                return None

    def _read(self) -> bool:
        try:
            data = self._raw.recv(65_536)
        except TimeoutError:
            raise
        except OSError:
            data = b""
        if not data:
            self._end()
            return False
        try:
            self._ws.receive_data(data)
        except (RemoteProtocolError, LocalProtocolError):
            self._end()
            return False
        return True

    def _drain(self) -> None:
        # Read on until the client has seen the close: a socket closed with unread data would be reset instead.
        with contextlib.suppress(OSError):
            self._raw.settimeout(GOODBYE)
            while self._raw.recv(65_536):
                pass
        self._end()

    def _answer_goodbye(self, event: CloseConnection) -> None:
        with self._changed:
            if not self._closing:
                with contextlib.suppress(LocalProtocolError):
                    self._put(self._ws.send(event.response()))
                self._closing = True
        self.finish()

    def _say_goodbye(self, code: int, reason: str) -> None:
        if self._closing or not self.open:
            return
        with contextlib.suppress(LocalProtocolError):
            self._put(self._ws.send(CloseConnection(code, reason[:120])))
        self._closing = True
        with contextlib.suppress(OSError):
            self._raw.settimeout(GOODBYE)

    def _put(self, data: bytes, not_before: float = 0.0) -> None:
        self._queue.append((not_before, data))
        self._bytes += len(data)
        self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            self.open = False
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._raw.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._raw.close()

    def _write(self) -> None:
        while True:
            with self._changed:
                while self.open and (self.frozen or not self._queue or (left := self._due()) > 0):
                    self._changed.wait(left if self._queue and not self.frozen else None)
                if not self.open:
                    return None
                _, data = self._queue[0]
            try:
                self._raw.sendall(data)
            except OSError:
                return self._end()
            with self._changed:
                if self._queue and self._queue[0][1] is data:  # else it was cleared meanwhile
                    self._queue.popleft()
                    self._bytes -= len(data)
                self._changed.notify_all()

    def _due(self) -> float:
        return self._queue[0][0] - time.monotonic()


def _framed(data: bytes) -> bytes:
    """A text frame as a server sends it."""
    if len(data) < 126:
        return bytes((0x81, len(data))) + data
    if len(data) < 65_536:
        return b"\x81\x7e" + len(data).to_bytes(2, "big") + data
    return b"\x81\x7f" + len(data).to_bytes(8, "big") + data
