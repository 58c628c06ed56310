"""One connection of the HTTP server: gevent's handler with deadlines, strict heads and answers in sentences.

The head and the body of a request are read before the application is called, so no view ever waits for a client.
"""

import contextlib
import errno
import io
import json
import time
from collections.abc import Callable
from typing import Any

import gevent
import structlog
from gevent import socket
from gevent.pywsgi import Input, WSGIHandler

from webapp.request_head import REASONS, Headers, Refused, read_headers, read_line, read_request_line

log = structlog.get_logger("server")

TAKE_OVER = "switchyard.take_over"  # in the environ: a view hands over what is to run on the socket after its request
HANG_UPS = (errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ENOTCONN, errno.ETIMEDOUT, errno.EBADF)
LINGER_SECONDS = 2.0


class Handler(WSGIHandler):
    """One connection: its requests one after another, and at the end perhaps what took over its socket."""

    ignored_socket_errors = HANG_UPS
    socket: Any
    rfile: Any
    environ: Any
    headers: Any
    _asked_before = False
    _after: Callable[[Any], None] | None = None
    _body = b""

    def handle_one_request(self) -> bool | None:
        """True when another request may follow on this connection."""
        limits = self.server.limits
        try:
            if not self._await_request(limits):
                return None
            with self.server.unread.hold(self):
                with gevent.Timeout(limits.head_seconds, Refused(408, "The request head came too slowly.")):
                    self._read_head(limits)
                with gevent.Timeout(limits.body_seconds, Refused(408, "The request body came too slowly.")):
                    self._body = self._read_body(limits)
        except Refused as refused:
            self._refuse(refused)
            return None
        except (OSError, EOFError):
            return None
        return self._answer()

    def _await_request(self, limits: Any) -> bool:
        """Waits for the first byte of a request that follows another; the first request is on its head's deadline."""
        if not self._asked_before:
            self._asked_before = True
            return True
        with self.server.idle.hold(self), gevent.Timeout(limits.idle_seconds, False):
            return bool(self.rfile.peek(1))
        return False

    def _read_head(self, limits: Any) -> None:
        self.requestline, self.path, self.headers = "", "", Headers([])
        self.time_start, self.response_length, self.environ = time.time(), 0, None
        self.requestline = read_line(self.rfile.readline, first=True)
        self.command, self.path, self.request_version = read_request_line(self.requestline)
        self.headers = read_headers(self.rfile.readline, limits.head_bytes)
        length = self.headers.get("content-length")
        self.content_length = int(length) if length is not None else None
        kept = self.headers.get("connection", "keep-alive" if self.request_version == "HTTP/1.1" else "close")
        self.close_connection = "close" in kept.lower() or self.server.stopping

    def _read_body(self, limits: Any) -> bytes:
        chunked = self.headers.get("transfer-encoding") is not None
        if not chunked and not self.content_length:
            return b""
        too_large = Refused(413, f"The request body may hold at most {limits.body_bytes} bytes.")
        if (self.content_length or 0) > limits.body_bytes:
            raise too_large
        waits = (self.headers.get("expect") or "").lower() == "100-continue"
        stream = Input(self.rfile, self.content_length, self.socket if waits else None, chunked)
        try:
            body = stream.read(limits.body_bytes + 1 if chunked else None)
        except OSError:
            raise Refused(400, "The request body ended early or is not well chunked.") from None
        if len(body) > limits.body_bytes:
            raise too_large
        return body

    def _answer(self) -> bool | None:
        self.environ = self.get_environ()
        self.application = self.server.application
        self.handle_one_response()
        if self._after is not None:
            self._run_after()
            return None
        return None if self.close_connection or self.server.stopping else True

    def get_environ(self) -> dict[str, Any]:
        """The WSGI environment; the body is already here, except that an upgrade gets the connection itself."""
        environ = super().get_environ()
        environ[TAKE_OVER] = self._take_over
        if self._connection_upgrade_requested() and not self._body:
            return environ
        self.wsgi_input = environ["wsgi.input"] = Input(io.BytesIO(self._body), len(self._body))
        environ["wsgi.input_terminated"] = True
        if environ.pop("HTTP_TRANSFER_ENCODING", None):
            environ["CONTENT_LENGTH"] = str(len(self._body))
        return environ

    def _take_over(self, run: Callable[[Any], None]) -> None:
        self._after = run

    def _run_after(self) -> None:
        """Hands the descriptor to a fresh greenlet and ends this one.

        A greenlet keeps each page of stack that it ever touched: after a request that is up to 16 KiB, and some more
        of buffers and headers, for as long as the socket lives.
        """
        self.rfile.close()
        taken = socket.socket(fileno=self.socket.detach())
        self.socket = None
        self.server.pool.spawn(self._after, taken)

    def _refuse(self, refused: Refused) -> None:
        """The answer to a request that never reached the application; then the connection ends."""
        sentence = str(refused)
        code = "too_large" if refused.status in (413, 414, 431) else "malformed"
        wants_json = self.path.startswith("/api/") or "json" in (self.headers.get("accept") or "")
        kind = "application/json" if wants_json else "text/plain; charset=utf-8"
        body = (json.dumps({"error": sentence, "code": code}) if wants_json else sentence + "\n").encode()
        head = (
            f"HTTP/1.1 {refused.status} {REASONS[refused.status]}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
        self.time_finish, self.code = time.time(), refused.status
        with contextlib.suppress(OSError):
            self._sendall(head.encode() + body)
        self.log_request()
        with contextlib.suppress(OSError):
            self._linger()

    def _linger(self) -> None:
        """Reads on for a moment: closing on unread bytes would reset the connection and lose the answer."""
        self.socket.shutdown(socket.SHUT_WR)
        with gevent.Timeout(LINGER_SECONDS, False):
            while self.socket.recv(64 * 1024):
                pass

    def hang_up(self) -> None:
        """Ends the connection from another greenlet; the waiting one wakes up to an empty read."""
        with contextlib.suppress(OSError):
            self.socket._sock.shutdown(socket.SHUT_RDWR)

    def finalize_headers(self) -> None:
        """Tells the client when no further request is taken on this connection."""
        if self.server.stopping and not self.close_connection:
            self.close_connection = True
            self.response_headers.append((b"Connection", b"close"))
        super().finalize_headers()

    def _sendall(self, data: bytes) -> None:
        slow = OSError(errno.ETIMEDOUT, "the client does not read its answer")
        with gevent.Timeout(self.server.limits.send_seconds, slow):
            super()._sendall(data)

    def log_request(self) -> None:
        """One line a request: never its query string, which may hold a token. A socket has its line when it ends."""
        if self._after is not None:
            return
        spent = max(0.0, self.time_finish - self.time_start)
        log.info(
            "request",
            method=self.command,
            path=(self.path or "").partition("?")[0],
            status=abs(self.code or 0),
            ms=round(spent * 1000, 1),
            bytes=self.response_length,
        )

    def _log_error(self, kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if not issubclass(kind, gevent.GreenletExit):
            path = (self.path or "").partition("?")[0]
            log.error("request_failed", method=self.command, path=path, exc_info=(kind, error, trace))
