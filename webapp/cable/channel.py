"""What a client may subscribe to: the base of every channel of the cable. Channels are made by `Connection`."""

from typing import TYPE_CHECKING, Any, ClassVar

import structlog

from webapp.cable import frames
from webapp.cable.outgoing import encode_text

if TYPE_CHECKING:
    from webapp.cable.connection import Connection

log = structlog.get_logger("cable")


class Channel:
    """One subscription. Lives from `subscribe` to `unsubscribe`, or to the end of its connection."""

    actions: ClassVar[frozenset[str]] = frozenset()  # what a client may ask by `action`: methods of the same name
    presence_token: str | None = None  # set while this subscription's presence row is to be touched at each beat

    def __init__(self, connection: "Connection", identifier: str, params: dict[str, Any]) -> None:
        """`identifier` is the exact string the client sent, `params` what it holds."""
        self.connection = connection
        self.identifier = identifier
        self.params = params
        self._held: list[bytes] | None = []  # frames until the subscription is confirmed; then None

    def subscribed(self) -> bool:
        """Attaches the stream. True confirms; False, or a `Refusal`, rejects; `DatabaseAway` sends the client round."""
        return True

    def unsubscribed(self) -> None:
        """Leaves what `subscribed` attached; runs once, also after a half-done `subscribed`."""

    def received(self, data: dict[str, Any]) -> None:
        """A message from the client: calls the method named by `action`, if it is one of `actions`."""
        action = data.get("action")
        if not isinstance(action, str) or action not in self.actions:
            log.info("cable_unknown_action", channel=type(self).__name__)
            return
        getattr(self, action)(data)

    def frame(self, payload_json: bytes) -> bytes:
        """The ready frame of one payload: for `send_frame` of every channel with the same identifier."""
        return encode_text(frames.message(self.identifier, payload_json))

    def send(self, payload_json: bytes) -> bool:
        """Sends one payload to this client. False when its socket is gone."""
        return self.send_frame(self.frame(payload_json))

    def send_frame(self, frame: bytes) -> bool:
        """Sends a ready frame; one that comes before the confirmation follows right behind it."""
        if self._held is None:
            return self.connection.socket.send(frame)
        self._held.append(frame)
        return True

    def confirmed(self) -> None:
        """Called by the connection after it sent the confirmation: what was held back goes out, in order."""
        held, self._held = self._held or [], None
        for frame in held:
            self.connection.socket.send(frame)
