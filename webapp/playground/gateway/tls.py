"""A TLS connection that one thread reads while another writes, which an SSLSocket alone does not allow."""

import contextlib
import select
import socket
import ssl
import threading
import time


class TlsSocket:
    """What a Wire needs of a socket: the library is entered by one thread at a time, and never waits in there."""

    def __init__(self, secured: ssl.SSLSocket) -> None:
        secured.setblocking(False)
        self._secured = secured
        self._timeout: float | None = None
        self._entered = threading.Lock()

    def settimeout(self, seconds: float | None) -> None:
        """How long `recv` waits."""
        self._timeout = seconds

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        """As that of any socket."""
        self._secured.setsockopt(level, name, value)

    def recv(self, size: int) -> bytes:
        """Some bytes; none at the end. TimeoutError when nothing comes in time."""
        until = None if self._timeout is None else time.monotonic() + self._timeout
        while True:
            with self._entered:
                try:
                    return self._secured.recv(size)
                except ssl.SSLWantReadError:
                    write = False
                except ssl.SSLWantWriteError:
                    write = True
            self._wait(write, until)

    def sendall(self, data: bytes) -> None:
        """All of it, however long it takes."""
        left = memoryview(data)
        while left:
            with self._entered:
                try:
                    left = left[self._secured.send(left) :]
                    continue
                except ssl.SSLWantReadError:
                    write = False
                except ssl.SSLWantWriteError:
                    write = True
            self._wait(write, None)

    def shutdown(self, how: int) -> None:
        """Ends the connection beneath; whoever waits here wakes."""
        socket.socket.shutdown(self._secured, how)

    def close(self) -> None:
        """Lets go of it."""
        with contextlib.suppress(OSError):
            self._secured.close()

    def _wait(self, write: bool, until: float | None) -> None:
        fd = self._secured.fileno()
        if fd < 0:
            raise OSError("closed")
        left = None if until is None else max(until - time.monotonic(), 0.0)
        watched = [fd]
        ready = select.select([] if write else watched, watched if write else [], [], left)
        if not any(ready):
            raise TimeoutError("timed out")
