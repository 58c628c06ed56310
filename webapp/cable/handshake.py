"""The way in: what an upgrade request must look like, and how a socket leaves flask-sock and becomes ours.

A view does, in this order: `handshake_problem`, its own checks, `choose_subprotocol`, `prepare_handshake` (all before
flask-sock answers), and then, inside the flask-sock route, `take_over`.
"""

import base64
import binascii
from collections.abc import Callable, MutableMapping
from typing import Any

from webapp.cable.frames import PROTOCOL, UNSUPPORTED
from webapp.cable.websocket import WebSocket

TAKE_OVER = "switchyard.take_over"  # our server's key in the environ: run this when the request is over


class NoThread:
    """Stands in for the reading thread that simple_websocket would start after the handshake."""

    name = ""

    def __init__(self, target: Callable[[], None]) -> None:
        """`target` is never called."""

    def start(self) -> None:
        """Starts nothing."""


# For app.config: flask-sock hands these to simple_websocket.
SOCK_SERVER_OPTIONS = {"thread_class": NoThread, "subprotocols": [PROTOCOL, UNSUPPORTED]}


def handshake_problem(environ: MutableMapping[str, Any]) -> str | None:
    """A sentence when flask-sock could not shake hands with this request, else None."""
    if environ.get("HTTP_UPGRADE", "").lower() != "websocket" or environ.get("REQUEST_METHOD") != "GET":
        return "This address speaks WebSocket only."
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
        return "Sec-WebSocket-Version must be 13."
    try:
        key = base64.b64decode(environ.get("HTTP_SEC_WEBSOCKET_KEY", ""), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    return None if len(key) == 16 else "Sec-WebSocket-Key must be 16 bytes in base64."


def choose_subprotocol(offered: str | None) -> tuple[bool, str | None]:
    """(accept, chosen) for a Sec-WebSocket-Protocol header. Nothing offered: accepted without a sub-protocol."""
    names = [name.strip() for name in (offered or "").split(",")]
    if not any(names):
        return True, None
    chosen = next((name for name in (PROTOCOL, UNSUPPORTED) if name in names), None)
    return chosen is not None, chosen


def prepare_handshake(environ: MutableMapping[str, Any], subprotocol: str | None) -> None:
    """Before flask-sock shakes hands: no extension (deflate costs 60 KiB a socket), at most the one sub-protocol."""
    environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
    environ.pop("HTTP_SEC_WEBSOCKET_PROTOCOL", None)
    if subprotocol is not None:
        environ["HTTP_SEC_WEBSOCKET_PROTOCOL"] = subprotocol


def take_over(opened: Any, serve: Callable[[WebSocket], None]) -> None:
    """Takes the socket from flask-sock's `opened` and runs `serve` on it; the socket ends when `serve` returns.

    Under our own server `serve` starts when the request is over, so that no request lives as long as its socket; under
    another server it runs here and now.
    """
    stream = opened.environ["wsgi.input"]
    early = _already_read(stream, stream.raw._sock)
    opened.sock.close()  # flask-sock holds a duplicate; without it, it cannot say goodbye in our name

    def run(sock: Any) -> None:
        socket = WebSocket(sock, early)
        try:
            serve(socket)
        finally:
            socket.end()

    later = opened.environ.get(TAKE_OVER)
    if later is not None:
        later(run)
    else:
        run(stream.raw._sock)


def _already_read(stream: Any, sock: Any) -> bytes:
    """What an eager client sent right behind its handshake, and the request's reader has swallowed."""
    sock.settimeout(0.0)
    try:
        return stream.read(len(stream.peek(1)))
    except OSError:
        return b""
    finally:
        sock.settimeout(None)
