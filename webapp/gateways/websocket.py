"""One RFC 6455 socket out: websocket-client within bounds, and fair to others."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import gevent
import websocket
from gevent.lock import BoundedSemaphore
from websocket import ABNF

from webapp.gateways.bounds import Ended, Frames, Joined, Library, Limits, Tap

GOODBYE_SECONDS = 1.0
TURN_SECONDS = 0.005  # of the processor, before others get theirs
LONG_SECONDS = 0.05
LEAST_PAUSE, MOST_PAUSE = 0.0005, 0.1


class NotSwitched(Exception):
    """The upgrade was answered with an ordinary HTTP status."""

    def __init__(self, status: int, message: str = "", retry_after: float | None = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.message, self.retry_after = status, message, retry_after


class WebSocket:
    """The constructor shakes hands; then `receive` until it raises Ended, `send`, `ping`, `close`."""

    def __init__(self, sock: Any, url: str, host: str, headers: Sequence[str], limits: Limits) -> None:
        """`sock` is connected, with TLS if needed. Raises NotSwitched, or Ended. The caller sets the deadline."""
        self._tap, self._limits = Tap(sock, limits), limits
        self._ws = Library(enable_multithread=False, skip_utf8_validation=True)
        # The library's own lock is a thread's: it would stop every greenlet of a process that is not patched.
        self._ws.lock = BoundedSemaphore(1)
        self.pong: bytes | None = None  # what the last pong carried
        self._since = time.perf_counter()
        try:
            self._shake_hands(url, host, headers)
        except BaseException:
            self.cut()
            raise
        self._tap.shaking = False
        self._ws.frame_buffer = Frames(self._tap, limits)
        self._ws.cont_frame = Joined(False, True)

    def _shake_hands(self, url: str, host: str, headers: Sequence[str]) -> None:
        try:
            self._ws.connect(
                url,
                socket=self._tap,
                host=host,
                header=list(headers),
                suppress_origin=True,
                redirect_limit=0,
                timeout=None,
            )
        except websocket.WebSocketBadStatusException as answer:
            named = answer.resp_headers or {}
            after = str(named.get("retry-after", ""))
            body = (answer.resp_body or b"")[:300].decode("utf-8", "replace")
            seconds = float(after) if after.isdigit() and len(after) < 5 else None
            raise NotSwitched(answer.status_code, body, seconds) from None
        except Ended:
            raise
        except Exception as error:  # the library trusts what it reads here more than we do
            status = self._ws.getstatus()
            if status is not None and status != 101:
                raise NotSwitched(status) from None
            raise Ended(f"no WebSocket handshake ({type(error).__name__})") from None
        if self._ws.getstatus() != 101:
            raise NotSwitched(self._ws.getstatus() or 0)

    def receive(self) -> bytes | None:
        """The next text message; None for any other sign of life. Raises Ended."""
        self._yield_fairly()
        try:
            opcode, data = self._ws.recv_data(control_frame=True)
        except Ended:
            raise
        except websocket.WebSocketConnectionClosedException:
            raise Ended("the connection broke off") from None
        except (websocket.WebSocketException, OSError, ValueError) as error:
            raise Ended(f"the connection broke off ({type(error).__name__})") from None
        if opcode == ABNF.OPCODE_CLOSE:
            code = int.from_bytes(data[:2]) if len(data) > 1 else None
            raise Ended(data[2:].decode("utf-8", "replace") or "closed by the gateway", code, heard=True)
        if opcode == ABNF.OPCODE_PONG:
            self.pong = bytes(data)
        return bytes(data) if opcode == ABNF.OPCODE_TEXT else None

    def send(self, text: str) -> None:
        """One text message. Raises Ended when it cannot be written whole in time: half a frame ends the socket."""
        self._written(lambda: self._ws.send(text), self._limits.send_seconds)

    def ping(self, payload: bytes) -> None:
        """A ping, whose pong carries the same payload."""
        self._written(lambda: self._ws.ping(payload), self._limits.send_seconds)

    def close(self, code: int, reason: str) -> None:
        """Says goodbye if the gateway still reads, and ends."""
        with suppress(Ended):
            said = code.to_bytes(2, "big") + reason.encode()[:120]
            self._written(lambda: self._ws.send(said, ABNF.OPCODE_CLOSE), GOODBYE_SECONDS)
        self.cut()

    def cut(self) -> None:
        """Ends without a word; whoever waits in `receive` hears of it."""
        self._tap.close()

    def _written(self, write: Any, seconds: float) -> None:
        limit = gevent.Timeout(seconds)
        try:
            with limit:
                write()
        except gevent.Timeout as reached:
            if reached is not limit:
                raise
            self.cut()
            raise Ended("the gateway does not read what it is sent", ours=True) from None
        except (websocket.WebSocketException, OSError, ValueError) as error:
            raise Ended(f"the connection broke off ({type(error).__name__})") from None

    def _yield_fairly(self) -> None:
        """A gateway that never stops must not stop the others: each turn is short, and a long one is paid for."""
        took = time.perf_counter() - self._since - self._tap.waited
        if took > TURN_SECONDS:
            # Not 0: gevent runs fifty callbacks before it looks at timers and sockets again.
            gevent.sleep(min(took, MOST_PAUSE) if took > LONG_SECONDS else LEAST_PAUSE)
            self._since, self._tap.waited = time.perf_counter(), 0.0
