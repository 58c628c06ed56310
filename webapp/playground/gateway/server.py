"""The port: HTTP for probes and for the control, and the upgrade to a WebSocket on any path."""

import contextlib
import http.server
import json
import pathlib
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from wsproto.utilities import generate_accept_token

from webapp.playground.gateway.tls import TlsSocket

LARGEST_BODY = 1_000_000


@dataclass(frozen=True)
class Asked:
    """One HTTP request; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    address: str

    @property
    def bearer(self) -> str | None:
        """The token it brings."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token if kind.lower() == "bearer" else None


@dataclass(frozen=True)
class Door:
    """Who answers: `http` with status and body, `admit` with a status instead of a socket, or `serve`.

    A status of 0 hangs up; one of 300 to 399 sends the caller to the text that comes with it.
    """

    http: Callable[[Asked], tuple[int, Any]]
    admit: Callable[[Asked], tuple[int, str] | None]
    serve: Callable[[Asked, socket.socket | TlsSocket], None]


class Server:
    """Listens from the start until `close`."""

    def __init__(self, port: int, door: Door, certificate: pathlib.Path | None = None) -> None:
        self._server = _Listener(("127.0.0.1", port), _handler(door))
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            # The handshake is done by the thread that serves: a client that never finishes it holds up nobody.
            self._server.socket = context.wrap_socket(self._server.socket, True, do_handshake_on_connect=False)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """The port is free again."""
        self._server.shutdown()
        self._server.server_close()


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is a mistake of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc()


def _handler(door: Door) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            length = headers.get("content-length", "0")
            body = self.rfile.read(min(int(length), LARGEST_BODY)) if length.isdecimal() else b""
            asked = Asked(self.command, urlsplit(self.path).path, headers, body, self.client_address[0])
            if headers.get("upgrade", "").lower() == "websocket":
                return self._upgrade(asked)
            return self._reply(*door.http(asked))

        do_POST = do_GET

        def _upgrade(self, asked: Asked) -> None:
            self.close_connection = True
            refused = door.admit(asked)
            if refused is not None:
                status, text = refused
                return self._reply(status, {"error": text}, text if 300 <= status < 400 else "") if status else None
            key = asked.headers.get("sec-websocket-key", "")
            if not key or asked.headers.get("sec-websocket-version") != "13":
                return self._reply(400, {"error": "this is no WebSocket handshake"})
            accept = generate_accept_token(key.encode()).decode()
            head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            self.connection.sendall(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # The wire alone holds the socket from here, so that it alone decides how it ends.
            if isinstance(self.connection, ssl.SSLSocket):
                self.rfile.close()
                return door.serve(asked, TlsSocket(self.connection))
            return door.serve(asked, socket.socket(fileno=self.connection.detach()))

        def _reply(self, status: int, body: Any, location: str = "") -> None:
            data = json.dumps(body).encode()
            with contextlib.suppress(OSError):  # who asked may be gone
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                if location:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *parts: Any) -> None:
            """The ledger says more."""

    return Handler
