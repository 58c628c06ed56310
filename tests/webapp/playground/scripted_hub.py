"""A hub of a few lines on a real socket: it does what a test tells it to, and remembers all that came in."""

import contextlib
import http.server
import json
import pathlib
import socket
import ssl
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import simple_websocket

DIALECT = "actioncable-v1-json"
REGISTERED = {"agent_id": 7, "agent_name": "Claude Channel (scout)", "topic_id": 11, "topic_name": "Claude here"}
HANG_UP = 0  # in place of a status: the connection is closed without an answer


@dataclass(frozen=True)
class Call:
    """One REST call as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class ScriptedHub:
    """Answers as a hub should unless told otherwise by its attributes; `story` is the order in which things came in."""

    def __init__(self, certificate: pathlib.Path | None = None) -> None:
        self.story: list[str] = []
        self.handshakes: list[tuple[str, dict[str, str]]] = []
        self.calls: list[Call] = []
        self.commands: list[dict[str, Any]] = []
        self.refuse_with: int | None = None  # an HTTP status instead of a socket
        self.protocol: str | None = DIALECT
        self.greeting: dict[str, Any] | None = {"type": "welcome"}
        self.verdict: str | None = "confirm_subscription"
        self.answers: dict[str, deque[tuple[int, dict[str, Any]]]] = defaultdict(deque)  # by "POST /path"
        self.changed = threading.Condition(threading.RLock())
        self.socket: simple_websocket.Server | None = None
        self._ended = True  # the end of the newest socket stands in the story
        self._server = _server(self)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        if certificate is not None:
            self.url = self.url.replace("http:", "https:")
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def send(self, frame: dict[str, Any] | str) -> None:
        """One frame to the newest socket."""
        assert self.socket is not None
        self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    def tell(self, message: Any, identifier: str | None = None) -> None:
        """A data frame on the newest subscription, or on another identifier."""
        self.send({"identifier": identifier or self.identifiers[-1], "message": message})

    @property
    def identifiers(self) -> list[str]:
        """Those of all subscribe commands, oldest first."""
        return [command["identifier"] for command in self.commands if command["command"] == "subscribe"]

    def sent(self, route: str) -> list[Call]:
        """The calls to a route such as `POST /api/v1/agent/reply`, query left aside."""
        return [call for call in self.calls if f"{call.method} {call.path.partition('?')[0]}" == route]

    def drop(self) -> None:
        """Close the newest socket without a goodbye."""
        assert self.socket is not None
        with contextlib.suppress(OSError):
            self.socket.sock.shutdown(socket.SHUT_RDWR)

    def wait_for(self, condition: Callable[[], Any], seconds: float = 5.0) -> Any:
        """Block until `condition()` holds; TimeoutError with the story so far."""
        until = time.monotonic() + seconds
        with self.changed:
            while not (seen := condition()):
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"The hub saw only: {self.story}")
                self.changed.wait(left)
            return seen

    def stop(self) -> None:
        """Close the listener and the newest socket."""
        if self.socket is not None:
            self.drop()
        self._server.shutdown()
        self._server.server_close()

    def note(self, entry: str, kept: list[Any] | None = None, thing: Any = None) -> None:
        """One line of the story, together with the thing to keep, so that who waits for one finds the other."""
        with self.changed:
            if kept is not None:
                kept.append(thing)
            self.story.append(entry)
            self.changed.notify_all()

    def take(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """One request: a socket, or a REST call answered by the script."""
        headers = {name.lower(): value for name, value in handler.headers.items()}
        if handler.path.partition("?")[0].endswith("/cable"):
            self.note("handshake", self.handshakes, (handler.path, headers))
            return self._refuse(handler) if self.refuse_with else self._serve(handler, headers)
        length = int(headers.get("content-length", 0))
        body = json.loads(handler.rfile.read(length)) if length else None
        call = Call(handler.command, handler.path, headers, body)
        # A socket that ended before this call comes before it in the story, whichever thread is faster here.
        self.wait_for(lambda: self.socket is None or self.socket.connected or self._ended)
        self.note(f"{call.method} {call.path}", self.calls, call)
        return self._answer(handler, call)

    def _refuse(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(self.refuse_with or 404)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def _serve(self, handler: http.server.BaseHTTPRequestHandler, headers: dict[str, str]) -> None:
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        opened = simple_websocket.Server({**environ, "werkzeug.socket": handler.connection}, self.protocol)
        with self.changed:
            self.socket, self._ended = opened, False
        if self.greeting:
            self.send(self.greeting)
        with contextlib.suppress(simple_websocket.ConnectionClosed):
            while True:
                self._command(json.loads(opened.receive()))
        with self.changed:
            self._ended = self._ended or opened is self.socket
            self.note(f"closed {int(opened.close_reason)}")

    def _command(self, command: dict[str, Any]) -> None:
        self.note(command["command"], self.commands, command)
        if command["command"] == "subscribe" and self.verdict:
            self.send({"type": self.verdict, "identifier": command["identifier"]})

    def _answer(self, handler: http.server.BaseHTTPRequestHandler, call: Call) -> None:
        route = f"{call.method} {call.path.partition('?')[0]}"
        status, body = self.answers[route].popleft() if self.answers[route] else _usual(call)
        if status == HANG_UP:
            handler.close_connection = True
            return
        data = b"" if status == 204 else json.dumps(body).encode()
        with contextlib.suppress(OSError):  # who asked may be gone
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)


def dispatch(task_id: Any = 91, generation: Any = "first", content: str = "hello", **changes: Any) -> dict[str, Any]:
    """A dispatch as a hub sends it; `changes` go to the message, those named topic_id or author_name to the comment."""
    comment = {
        "id": 400,
        "content": content,
        "author_id": 2,
        "author_name": changes.pop("author_name", "Ann"),
        "topic_id": changes.pop("topic_id", 22),
        "creative_id": 5,
        "created_at": "2026-01-01T00:00:00Z",
    }
    message = {"type": "dispatch", "agent_id": 7, "task_id": task_id, "execution_generation": generation}
    return {**message, "session_topic": False, "comment": comment, **changes}


def _usual(call: Call) -> tuple[int, dict[str, Any]]:
    if call.path.endswith("/register"):
        return 200, {**REGISTERED, "session_id": call.body["session_id"], "ws_url": "/cable"}
    if call.method == "DELETE":
        return 204, {}
    return 201, {"comment_id": 501, "pending_approval_ids": []}


def _server(hub: ScriptedHub) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hub.take(self)

        do_POST = do_DELETE = do_GET

        def log_message(self, *parts: Any) -> None:
            """Tests read the story instead."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server
