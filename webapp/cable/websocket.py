"""One RFC 6455 socket, from the end of its handshake to its own.

Writing never waits: what the kernel does not take goes to a bounded backlog, and a writer greenlet lives only as long
as that backlog. Reading happens in one greenlet, which is also the one that gives the descriptor back.
"""

import socket as sockets
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
import structlog

from webapp.cable.incoming import (
    CLOSE,
    NORMAL,
    PING,
    PONG,
    TEXT,
    UNSUPPORTED,
    Broken,
    Incoming,
    as_text,
    checked_close,
)
from webapp.cable.outgoing import LIFE_PING, encode_frame

log = structlog.get_logger("cable")

BACKLOG_BYTES = 1024 * 1024  # what may wait behind the frame under way
CHUNK_BYTES = 64 * 1024
READ_BYTES = 16 * 1024
CLOSING_SECONDS = 3.0
MOST_MISSES = 2
NO_LINGER = struct.pack("ii", 1, 0)


class WebSocket:
    """Reads with `listen`, writes with `send`; ends once, for whatever reason (`why`, one word, for the log)."""

    __slots__ = ("_backlog", "_behind", "_early", "_incoming", "_raw", "_sock", "_writer", "closing", "misses", "why")

    def __init__(self, sock: Any, early: bytes = b"") -> None:
        """`sock` is gevent's socket; `early` are bytes that came in with the request."""
        self._sock = sock
        self._raw = sock._sock  # the plain non-blocking socket underneath
        self._early = early
        self._incoming = Incoming()
        self._backlog: deque[bytes] | None = None
        self._behind = 0
        self._writer: gevent.Greenlet | None = None
        self.closing = False  # a close frame of ours is out, nothing may follow it
        self.misses = 0  # beats since the last byte from the client
        self.why: str | None = None

    @property
    def waiting_bytes(self) -> int:
        """How much waits behind the frame under way."""
        return self._behind

    def send(self, frame: bytes) -> bool:
        """Sends a ready frame without ever waiting. False when the socket is closing, gone, or cut for its backlog."""
        if self.closing or self.why is not None:
            return False
        if self._backlog is not None:
            return self._queue(self._backlog, frame)
        try:
            sent = self._raw.send(frame)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.cut("reset")
            return False
        if sent != len(frame):
            self._backlog = deque()
            self._writer = gevent.spawn(self._write, memoryview(frame)[sent:])
        return True

    def close(self, code: int = NORMAL, sentence: str = "") -> None:
        """Says goodbye after what is already queued. The client answers and the socket ends, or `overdue` cuts it."""
        self.send(encode_frame(CLOSE, code.to_bytes(2) + sentence.encode()[:123]))
        self.closing, self.misses = True, 0

    def cut(self, why: str) -> None:
        """Ends the socket at once, whatever is still unsent. The reading greenlet wakes up and clears away."""
        if self.why is not None:
            return
        self.why = why
        self._backlog, self._behind = None, 0
        with suppress(OSError):
            self._raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, NO_LINGER)
            self._raw.shutdown(sockets.SHUT_RDWR)

    def end(self) -> None:
        """Called once by the reading greenlet: what is queued may still leave, then the descriptor is given back."""
        if self._writer is not None:
            self._writer.join(CLOSING_SECONDS)
        self.why = self.why or "closed"
        self._sock.close()

    def beat(self) -> None:
        """One life ping; after two without a sign of life the socket is cut. Any byte from the client counts."""
        if self.misses >= MOST_MISSES and not self._bytes_wait():
            self.cut("silent")
            return
        self.misses += 1
        self.send(LIFE_PING)

    def overdue(self) -> None:
        """For a socket that said goodbye, at every beat: a client that has not answered by the second one is cut."""
        self.misses += 1
        if self.misses > 1:
            self.cut("closed")

    def listen(self, hear: Callable[[str], None]) -> None:
        """Hands each text to `hear` until the socket ends. What breaks the protocol is answered with its close code."""
        try:
            self._read(hear)
        except Broken as broken:
            log.info("cable_protocol_broken", code=broken.code, reason=str(broken))
            self.close(broken.code, str(broken))
            self._read_unheard()

    def _read(self, hear: Callable[[str], None]) -> None:
        data, self._early = self._early or self._receive(), b""
        while data and self._take(data, hear):
            data = self._receive()

    def _read_unheard(self) -> None:
        """Lets a client that broke the protocol finish its sentence, so that it gets to read our answer."""
        with gevent.Timeout(CLOSING_SECONDS, False):
            while self._receive():
                pass

    def _receive(self) -> bytes:
        try:
            data = self._sock.recv(READ_BYTES)
        except OSError:
            return b""
        if not self.closing:
            self.misses = 0
        return data

    def _take(self, data: bytes, hear: Callable[[str], None]) -> bool:
        """False when the client has said goodbye."""
        for opcode, payload in self._incoming.feed(data):
            if opcode == CLOSE:
                self.close(checked_close(payload))
                return False
            if self.closing or opcode == PONG:
                continue
            if opcode == TEXT:
                hear(as_text(payload))
            elif opcode == PING:
                self.send(encode_frame(PONG, payload))
            else:
                raise Broken(UNSUPPORTED, "This socket takes text only.")
        return True

    def _bytes_wait(self) -> bool:
        """Whether the client was heard after all, but its bytes wait for a greenlet that is busy with a command."""
        try:
            return bool(self._raw.recv(1, sockets.MSG_PEEK))
        except OSError:
            return False

    def _queue(self, backlog: deque[bytes], frame: bytes) -> bool:
        """Behind the frame under way. One large frame is taken, whatever its size; more on top of 1 MiB is not."""
        if self._behind > BACKLOG_BYTES:
            log.info("cable_slow_reader_cut", waiting_bytes=self._behind)
            self.cut("slow")
            return False
        backlog.append(frame)
        self._behind += len(frame)
        return True

    def _write(self, under_way: memoryview | bytes) -> None:
        """The writer: the rest of one frame, then the backlog in chunks; ends when nothing is left."""
        try:
            while under_way:
                self._sock.sendall(under_way)
                under_way = self._next_chunk()
        except OSError:
            self.cut("reset")
        self._writer = None

    def _next_chunk(self) -> bytes:
        """Small frames that queued up leave together. Nothing left: the backlog ends, sends go straight out again."""
        parts: list[bytes] = []
        size = 0
        while self._backlog and size < CHUNK_BYTES:
            parts.append(self._backlog.popleft())
            size += len(parts[-1])
        self._behind -= size
        if not parts:
            self._backlog = None
        return b"".join(parts)
