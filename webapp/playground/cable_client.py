"""The Action Cable dialect from the client's side: one socket at a time, kept up for as long as it is wanted.

closed --open()--> connecting --upgrade--> open --welcome--> greeted --confirm--> subscribed
                     ^     |                 |                  |                     |
                     |     +---- refused ----+---- loss, 15 s of silence, drop() -----+
                     +------------ after 1 s, 2 s, 4 s ... 60 s ------------+
"""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import websocket

from webapp.playground.address import HubAddress, Unreachable
from webapp.playground.hub_api import reason

DIALECT = "actioncable-v1-json"
OFFERED = f"{DIALECT}, actioncable-unsupported"
TEXT, CLOSE = websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_CLOSE


@dataclass(frozen=True)
class Timing:
    """Seconds; the defaults are those of the plugin. Silence is looked at every `check`."""

    welcome: float = 10.0
    silence: float = 15.0
    check: float = 5.0
    first_retry: float = 1.0
    last_retry: float = 60.0
    request: float = 10.0


class Refused(Unreachable):
    """The hub is there and there will be no socket; `status` is its HTTP status, 101 for a socket without sub-protocol.

    It is 0 where the certificate is not to be trusted.
    """

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status

    @property
    def passing(self) -> bool:
        """The trouble may pass by itself."""
        return self.status >= 500 or self.status == 429


class CableClient:
    """Tells `hear(kind, detail)` what happens, on its own thread; `hear` must return quickly.

    Kinds: upgraded, welcome, confirmed, rejected, message (an object), disconnect (a reason), ignored (why),
    refused (the exception), lost (why).
    """

    def __init__(self, address: HubAddress, hear: Callable[[str, Any], None], timing: Timing) -> None:
        self.identifier: str | None = None
        self._address = address
        self._hear = hear
        self._timing = timing
        self._socket: websocket.WebSocket | None = None
        self._greeted = False
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def open(self) -> None:
        """Start connecting, and keep at it until `close` or `cut`."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_up, args=(self._ended,), name="cable", daemon=True)
        self._thread.start()

    def subscribe(self, identifier: str) -> None:
        """Subscribe now if greeted, and again, with the identical string, after each later welcome."""
        self.identifier = identifier
        if self._greeted:
            self._send({"command": "subscribe", "identifier": identifier})

    def perform(self, action: str, **data: Any) -> None:
        """Send an action to the subscribed channel; it is lost if the socket is."""
        self._send(
            {"command": "message", "identifier": self.identifier, "data": json.dumps({"action": action, **data})}
        )

    def close(self) -> None:
        """Say goodbye and stay away."""
        self._ended.set()
        current = self._socket
        if current is not None:
            with contextlib.suppress(OSError, websocket.WebSocketException):
                current.send_close()
            self._join(1.0)  # room for the hub's own goodbye
        self.cut()

    def cut(self) -> None:
        """Close the socket without a goodbye and stay away."""
        self._ended.set()
        self.drop()
        self._join(self._timing.request)

    def drop(self) -> None:
        """Close the socket without a goodbye; the client comes back by itself."""
        current = self._socket
        raw = current.sock if current is not None else None
        if raw is None:
            return
        with contextlib.suppress(OSError):
            # The method of the plain socket: that of a TLS socket would pull the rug from under the reader.
            socket.socket.shutdown(raw, socket.SHUT_RDWR)

    def _join(self, seconds: float) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def _keep_up(self, ended: threading.Event) -> None:
        wait = self._timing.first_retry
        while not ended.is_set():
            try:
                fresh = self._connect()
                wait = self._timing.first_retry
                self._live(fresh, ended)
            except Unreachable as error:
                self._hear("refused", error)
            ended.wait(wait)
            wait = min(wait * 2, self._timing.last_retry)

    def _live(self, fresh: websocket.WebSocket, ended: threading.Event) -> None:
        self._socket = fresh
        try:
            # Asked after the socket can be seen from outside: whoever ends us now finds it, or we find that it ended.
            why = "" if ended.is_set() else self._listen(fresh)
        except Exception as error:  # a client that is meant to run for weeks outlives any single failure
            why = reason(error)
        self._greeted = False
        self._socket = None
        fresh.shutdown()
        self._hear("lost", "closed here" if ended.is_set() else why)

    def _connect(self) -> websocket.WebSocket:
        fresh = websocket.WebSocket(enable_multithread=True)
        try:
            fresh.connect(
                self._address.socket_url,
                timeout=self._timing.request,
                origin=self._address.origin,
                header=[f"Sec-WebSocket-Protocol: {OFFERED}"],
                redirect_limit=0,
                http_no_proxy=["*"],
            )
        except websocket.WebSocketBadStatusException as error:
            sentence = f"The hub answered {error.status_code} instead of opening a socket."
            raise Refused(sentence, error.status_code) from None
        except ssl.SSLCertVerificationError as error:
            raise Refused(f"The hub's certificate is not trusted ({error.verify_message}).", 0) from None
        except (OSError, ValueError, websocket.WebSocketException) as error:
            raise Unreachable(f"No socket at {self._address.origin} ({reason(error)}).") from None
        if (fresh.getheaders() or {}).get("sec-websocket-protocol") != DIALECT:
            fresh.shutdown()
            raise Refused("The hub opened a socket without the sub-protocol actioncable-v1-json.", 101)
        fresh.settimeout(self._timing.check)
        return fresh

    def _listen(self, current: websocket.WebSocket) -> str:
        """Read until the socket ends; the reason is returned. Only messages count as a sign of life, not pings."""
        self._hear("upgraded", None)
        heard_at = time.monotonic()
        while True:
            try:
                opcode, data = current.recv_data(control_frame=True)
            except websocket.WebSocketTimeoutException:
                opcode, data = None, b""
            if opcode == CLOSE:
                return "the hub closed the connection"
            if opcode == TEXT:
                heard_at = time.monotonic()
                self._take(data)
            elif time.monotonic() - heard_at > self._timing.silence:
                return f"nothing heard for {self._timing.silence:g} s"

    def _take(self, data: bytes) -> None:
        try:
            frame = json.loads(data)
        except (ValueError, RecursionError):
            frame = None
        if not isinstance(frame, dict):
            return self._hear("ignored", "a frame that is no JSON object")
        kind = frame.get("type")
        if kind == "ping":
            return None
        if kind == "welcome":
            return self._welcomed()
        if kind == "disconnect":
            return self._hear("disconnect", str(frame.get("reason")))
        if self.identifier is None or frame.get("identifier") != self.identifier:
            return self._hear("ignored", "a frame for another identifier")
        if kind in ("confirm_subscription", "reject_subscription"):
            return self._hear("confirmed" if kind == "confirm_subscription" else "rejected", None)
        if not isinstance(frame.get("message"), dict):
            return self._hear("ignored", "a frame whose message is no object")
        return self._hear("message", frame["message"])

    def _welcomed(self) -> None:
        self._greeted = True
        self._hear("welcome", None)
        if self.identifier is not None:
            self.subscribe(self.identifier)

    def _send(self, command: dict[str, Any]) -> None:
        current = self._socket
        if current is None:
            return
        try:
            current.send(json.dumps(command, ensure_ascii=False))
        except (OSError, websocket.WebSocketException):
            self.drop()
