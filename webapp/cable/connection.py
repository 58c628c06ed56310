"""One client of the cable: handles its commands in order and keeps its subscriptions.

Nothing a client writes closes its connection; what cannot be understood is logged, without its words, and dropped.
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gevent
import structlog

from models.errors import DatabaseAway, Refusal
from webapp.cable import frames
from webapp.cable.channel import Channel
from webapp.cable.incoming import GOING_AWAY, NORMAL
from webapp.cable.outgoing import encode_text
from webapp.cable.websocket import WebSocket

if TYPE_CHECKING:
    from webapp.cable.sockets import Sockets

log = structlog.get_logger("cable")

MOST_SUBSCRIPTIONS = 100
WELCOME = encode_text(frames.welcome())

# A channel class, or anything that makes a channel of (connection, identifier, params).
Maker = Callable[["Connection", str, dict[str, Any]], Channel]


class Connection:
    """`run` lives as long as the socket; then every subscription has left."""

    __slots__ = ("__weakref__", "_channels", "_sockets", "began", "ends_at", "socket", "subscriptions", "user")

    def __init__(
        self,
        socket: WebSocket,
        user: Any,
        channels: Mapping[str, Maker],
        sockets: "Sockets",
        ends_at: float | None = None,
    ) -> None:
        """`user` is who signed in (with an `id`), until `ends_at` (seconds since the epoch) or without end; `channels`
        maps the names that clients use.
        """
        self.socket = socket
        self.user = user
        self.ends_at = ends_at
        self.began = time.monotonic()
        self.subscriptions: dict[str, Channel] = {}
        self._channels = channels
        self._sockets = sockets

    def run(self) -> None:
        """Welcomes, hears until the socket ends, runs the leave logic of all that is still subscribed."""
        self._sockets.add(self)
        try:
            self.socket.send(WELCOME)
            if self._sockets.leaving:
                self.goodbye(frames.SERVER_RESTART, reconnect=True)
            self.socket.listen(self._hear_apart)
        finally:
            self._sockets.remove(self)
            for identifier in list(self.subscriptions):
                self._leave(self.subscriptions.pop(identifier))

    def _hear_apart(self, text: str) -> None:
        """Handles a command in a greenlet that ends with it, and waits: the next one comes after.

        A greenlet keeps every page of stack it ever touched, and commands reach deep into the database: in the greenlet
        that reads they would cost an idle connection 3 KiB for ever.
        """
        command = gevent.spawn(self.hear, text)
        try:
            command.join()
        finally:
            command.kill()  # nothing to do, unless this greenlet is being killed itself

    def hear(self, text: str) -> None:
        """One frame from the client."""
        command = frames.parse_command(text)
        if isinstance(command, frames.Unreadable):
            log.info("cable_frame_dropped", reason=command.reason)
        elif command.command == "subscribe":
            self._subscribe(command.identifier)
        elif command.command == "unsubscribe":
            self._unsubscribe(command.identifier)
        else:
            self._message(command)

    def goodbye(self, reason: str, *, reconnect: bool) -> None:
        """The planned end: says why, and closes."""
        self.socket.send(encode_text(frames.disconnect(reason, reconnect)))
        self.socket.close(GOING_AWAY if reconnect else NORMAL)

    def revoke(self, channel: Channel) -> None:
        """Ends one subscription whose right has ended: its client is told, and has no acknowledgement to wait for."""
        if self.subscriptions.get(channel.identifier) is channel:
            del self.subscriptions[channel.identifier]
            self._reject(channel.identifier)
            self._leave(channel)

    def _subscribe(self, identifier: str) -> None:
        if identifier in self.subscriptions:
            return
        channel = self._made(identifier)
        if channel is None or len(self.subscriptions) >= MOST_SUBSCRIPTIONS:
            log.info("cable_subscribe_rejected", subscriptions=len(self.subscriptions), known=channel is not None)
            self._reject(identifier)
            return
        self.subscriptions[identifier] = channel
        if self._may(channel):
            self.socket.send(encode_text(frames.confirm(identifier)))
            channel.confirmed()
            return
        if self.subscriptions.pop(identifier, None) is channel:
            self._leave(channel)
            self._reject(identifier)

    def _made(self, identifier: str) -> Channel | None:
        params = frames.parse_object(identifier) or {}
        name = params.get("channel")
        make = self._channels.get(name) if isinstance(name, str) else None
        return make(self, identifier, params) if make is not None else None

    def _may(self, channel: Channel) -> bool:
        try:
            return channel.subscribed()
        except DatabaseAway:
            log.warning("cable_subscribe_database_away", channel=type(channel).__name__)
            self.goodbye(frames.SERVER_RESTART, reconnect=True)
        except Refusal as refusal:
            log.info("cable_subscribe_refused", channel=type(channel).__name__, code=refusal.code)
        except Exception:
            log.exception("cable_subscribe_failed", channel=type(channel).__name__)
        return False

    def _unsubscribe(self, identifier: str) -> None:
        channel = self.subscriptions.pop(identifier, None)
        if channel is not None:
            self._leave(channel)

    def _message(self, command: frames.Command) -> None:
        channel = self.subscriptions.get(command.identifier)
        data = frames.parse_object(command.data)
        if channel is None or data is None:
            log.info("cable_message_dropped", subscribed=channel is not None, readable=data is not None)
            return
        try:
            channel.received(data)
        except DatabaseAway:
            # The client asks again when it is back; dropped here, its question would be lost for good.
            log.warning("cable_message_database_away", channel=type(channel).__name__)
            self.goodbye(frames.SERVER_RESTART, reconnect=True)
        except Refusal as refusal:
            log.info("cable_message_refused", channel=type(channel).__name__, code=refusal.code)
        except Exception:
            log.exception("cable_message_failed", channel=type(channel).__name__)

    def _reject(self, identifier: str) -> None:
        self.socket.send(encode_text(frames.reject(identifier)))

    def _leave(self, channel: Channel) -> None:
        """An error while leaving concerns nobody who is still here: logged and swallowed."""
        try:
            channel.unsubscribed()
        except Exception as error:
            log.warning("cable_leave_failed", channel=type(channel).__name__, error=type(error).__name__)
