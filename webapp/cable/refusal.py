"""How the cable says no: slowly to who is not authorised, for an agent plugin is back a second after each close."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

import gevent

from webapp.cable import frames
from webapp.cable.outgoing import encode_text
from webapp.cable.websocket import WebSocket

SECONDS = 4.0
MOST_AT_ONCE = 200  # strangers beyond these are closed at once
_waiting: set[WebSocket] = set()
UNAUTHORIZED = encode_text(frames.disconnect(frames.UNAUTHORIZED, False))


def refuse_slowly(socket: WebSocket, seconds: float = SECONDS) -> None:
    """Says `unauthorized` at once and closes only when the client has gone or `seconds` have passed."""
    socket.send(UNAUTHORIZED)
    if len(_waiting) < MOST_AT_ONCE:
        _waiting.add(socket)
        try:
            with gevent.Timeout(seconds, False):
                socket.listen(lambda text: None)
                return
        finally:
            _waiting.discard(socket)
    socket.close()


class HandshakeLimit:
    """Counts handshakes by key (a token) in a window of time. Keys are kept as digests, and only so many of them."""

    def __init__(
        self, most: int = 10, seconds: float = 60.0, keys: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """At most `most` in `seconds` for one key; `keys` bounds the memory, the oldest window is forgotten first."""
        self._most = most
        self._seconds = seconds
        self._keys = keys
        self._clock = clock
        self._windows: OrderedDict[bytes, tuple[float, int]] = OrderedDict()

    def allow(self, key: str) -> bool:
        """Counts one handshake; False when it is one too many."""
        digest = hashlib.blake2b(key.encode(errors="replace"), digest_size=8).digest()
        now = self._clock()
        started, count = self._windows.get(digest, (now, 0))
        if now - started >= self._seconds:
            self._windows.pop(digest, None)
            started, count = now, 0
        self._windows[digest] = started, count + 1
        if len(self._windows) > self._keys:
            self._windows.popitem(last=False)
        return count < self._most
