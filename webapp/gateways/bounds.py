"""What a stranger may make us hold: websocket-client's own parts, measured before their bytes are taken.

What the library sees as its socket is a `Tap`: it reads in large pieces and counts.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import websocket
from websocket import ABNF
from websocket._abnf import continuous_frame, frame_buffer

READ_BYTES = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """What one gateway may send: bytes in a message, and what is too much within `flood_seconds`. And how long it may
    leave unread what we send.

    A gateway that we kept waiting sends up to 50 MiB at once; a busy one some hundred frames a second.
    """

    message_bytes: int = 25 * 1024 * 1024
    upgrade_bytes: int = 64 * 1024
    send_seconds: float = 10.0
    flood_seconds: float = 10.0
    flood_frames: int = 50_000
    flood_bytes: int = 256 * 1024 * 1024


class Ended(Exception):
    """The socket is over; `code` is the close code that came, or that we sent, None without any."""

    def __init__(self, reason: str, code: int | None = None, *, heard: bool = False, ours: bool = False) -> None:
        """`heard`: the gateway said goodbye by itself. `ours`: we cut the socket, and nothing more can be read."""
        super().__init__(reason)
        self.reason, self.code, self.heard, self.ours = reason, code, heard, ours


class Library(websocket.WebSocket):
    """The library's socket. An answer of its own that cannot be written must not hide what is still to be read."""

    def pong(self, payload: str | bytes = "") -> None:
        """Answers a ping."""
        with suppress(websocket.WebSocketException, OSError):
            super().pong(payload)

    def send_close(self, status: int = 1000, reason: str | bytes = b"") -> None:
        """Answers a goodbye."""
        with suppress(websocket.WebSocketException, OSError):
            super().send_close(status, reason)


class Tap:
    """What websocket-client takes for its socket: buffered reads, counted within a window."""

    def __init__(self, sock: Any, limits: Limits) -> None:
        self._sock, self._limits = sock, limits
        self._have, self._at = b"", 0
        self.shaking = True
        self.waited = 0.0  # seconds spent waiting for bytes since somebody set it to 0
        self._window, self._bytes, self._frames = time.monotonic(), 0, 0

    def recv(self, size: int) -> bytes:
        """At most `size` bytes, at least one; empty at the end."""
        if self._at >= len(self._have):
            before = time.perf_counter()
            self._have, self._at = self._sock.recv(READ_BYTES), 0
            self.waited += time.perf_counter() - before
            self._counted(len(self._have), 0)
        piece = self._have[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def frame(self) -> None:
        """One more frame has begun."""
        self._counted(0, 1)

    def _counted(self, size: int, frames: int) -> None:
        limits, now = self._limits, time.monotonic()
        if now - self._window > limits.flood_seconds:
            self._window, self._bytes, self._frames = now, 0, 0
        self._bytes += size
        self._frames += frames
        if self.shaking and self._bytes > limits.upgrade_bytes:
            raise Ended("the answer to the upgrade is endless")
        if self._bytes > limits.flood_bytes or self._frames > limits.flood_frames:
            raise Ended("the gateway sends more than this hub takes in", 1008)

    def send(self, data: bytes) -> int:
        """How many bytes the kernel took."""
        return int(self._sock.send(data))

    def gettimeout(self) -> float | None:
        """Never 0: the library would read without waiting."""
        return None

    def settimeout(self, seconds: float | None) -> None:
        """Deadlines are the caller's."""

    def fileno(self) -> int:
        """The descriptor."""
        return int(self._sock.fileno())

    def shutdown(self, how: int) -> None:
        """Ends one or both ways."""
        self._sock.shutdown(how)

    def close(self) -> None:
        """Gives the descriptor back; a greenlet that waits for it is woken with an error."""
        with suppress(OSError):
            self._sock.close()


class Frames(frame_buffer):
    """The library's reader of frames, which refuses one that is too large before it takes its bytes."""

    def __init__(self, tap: Tap, limits: Limits) -> None:
        super().__init__(self._more, True)
        self._tap, self._most = tap, limits.message_bytes
        self._so_far = 0  # bytes of the fragments before this one

    def _more(self, size: int) -> bytes:
        piece = self._tap.recv(size)
        if not piece:
            raise Ended("the connection broke off")
        return piece

    def recv_length(self) -> None:
        """The length of the frame under way, checked."""
        super().recv_length()
        self._tap.frame()
        fin, _, _, _, opcode, *_ = self.header or (1, 0, 0, 0, ABNF.OPCODE_CLOSE)
        length = self.length or 0
        if opcode >= ABNF.OPCODE_CLOSE:
            return
        so_far = self._so_far if opcode == ABNF.OPCODE_CONT else 0
        if so_far + length > self._most:
            raise Ended(f"a message of more than {self._most // (1024 * 1024)} MiB", 1009)
        self._so_far = 0 if fin else so_far + length


class Joined(continuous_frame):
    """The library's joiner of fragments, in time that grows with their bytes and not with its square."""

    def add(self, frame: ABNF) -> None:
        """One more fragment, or a whole message."""
        super().add(frame)
        if self.cont_data is not None and not frame.fin and isinstance(self.cont_data[1], bytes):
            self.cont_data[1] = bytearray(self.cont_data[1])
