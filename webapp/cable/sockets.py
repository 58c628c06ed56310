"""The cable connections of this process, the beat they share, and the goodbye at the end.

One greenlet beats for all sockets; presence beats in a greenlet of its own, so that a frozen database stops no ping.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import structlog

from webapp.cable import frames
from webapp.cable.connection import Connection
from webapp.cable.outgoing import encode_text
from webapp.cable.thinking import BEAT_SECONDS

log = structlog.get_logger("cable")

PING_SECONDS = 3.0
PINGS_PER_LIFE_PING = 5
PRESENCE_SECONDS = 15.0
BREATH = 200  # sockets written to before other greenlets get their turn


class Sockets:
    """Every living `Connection`. Changed only between two waits, so it needs no lock."""

    def __init__(
        self,
        on_presence_beat: Callable[[list[str]], None] | None = None,
        on_status_beat: Callable[[], None] | None = None,
        *,
        ping_seconds: float = PING_SECONDS,
        presence_seconds: float = PRESENCE_SECONDS,
    ) -> None:
        """`on_presence_beat` gets the tokens of the agent subscriptions that live here, every `presence_seconds`.

        `on_status_beat` says who thinks, every five seconds.
        """
        self._connections: set[Connection] = set()
        self._on_presence_beat = on_presence_beat
        self._on_status_beat = on_status_beat
        self._ping_seconds = ping_seconds
        self._presence_seconds = presence_seconds
        self._greenlets: list[gevent.Greenlet] = []
        self._opened = 0
        self._ended: dict[str, int] = {}
        self.leaving = False  # the process is about to end

    def add(self, connection: Connection) -> None:
        """Called by a connection when it starts."""
        self._connections.add(connection)
        self._opened += 1

    def remove(self, connection: Connection) -> None:
        """Called by a connection when it ends."""
        self._connections.discard(connection)
        why = connection.socket.why or "closed"
        self._ended[why] = self._ended.get(why, 0) + 1
        lived = round(time.monotonic() - connection.began, 1)
        log.info("cable_ended", user=getattr(connection.user, "id", None), why=why, seconds=lived)

    def __len__(self) -> int:
        """How many connections live here."""
        return len(self._connections)

    def of_user(self, user_id: int) -> list[Connection]:
        """The connections of one person: to say goodbye, or to revoke a stream, when a right ends."""
        return [one for one in self._connections if one.user is not None and one.user.id == user_id]

    def presence_tokens(self) -> list[str]:
        """The tokens of the agent subscriptions that live here."""
        channels = (channel for one in self._connections for channel in one.subscriptions.values())
        return [channel.presence_token for channel in channels if channel.presence_token]

    def figures(self) -> dict[str, int]:
        """For metrics and status: what lives here now, and why sockets ended since the start (`ended_<why>`)."""
        users = {one.user.id for one in self._connections if one.user is not None}
        return {
            "connections": len(self._connections),
            "users": len(users),
            "subscriptions": sum(len(one.subscriptions) for one in self._connections),
            "waiting_bytes": sum(one.socket.waiting_bytes for one in self._connections),
            "opened": self._opened,
            **{f"ended_{why}": count for why, count in self._ended.items()},
        }

    def start(self) -> None:
        """Starts the beats."""
        self._greenlets.append(_named("cable-beat", self._beat))
        if self._on_presence_beat is not None:
            self._greenlets.append(_named("presence-beat", self._beat_presence, self._on_presence_beat))
        if self._on_status_beat is not None:
            self._greenlets.append(_named("status-beat", self._beat_status, self._on_status_beat))

    def stop(self) -> None:
        """Ends the beats."""
        gevent.killall(self._greenlets, timeout=1)
        self._greenlets.clear()

    def close_all(self, seconds: float = 3.0) -> None:
        """The planned stop: every client is told to come back later; who has not gone in `seconds` is cut."""
        self.leaving = True
        for connection in self._in_turn():
            connection.goodbye(frames.SERVER_RESTART, reconnect=True)
        deadline = time.monotonic() + seconds
        while self._connections and time.monotonic() < deadline:
            gevent.sleep(0.02)
        for connection in self._in_turn():
            connection.socket.cut("closed")
        gevent.sleep(0)

    def _in_turn(self) -> Iterator[Connection]:
        """All connections of this moment; other greenlets run in between."""
        for number, connection in enumerate(list(self._connections), 1):
            yield connection
            if number % BREATH == 0:
                gevent.sleep(0)

    def _beat(self) -> None:
        beats = 0
        while True:
            beats += 1
            started = time.monotonic()
            self.beat(life=beats % PINGS_PER_LIFE_PING == 0)
            gevent.sleep(max(0.0, self._ping_seconds - (time.monotonic() - started)))

    def beat(self, *, life: bool) -> None:
        """One ping to every client, encoded once; with `life` also the control ping that finds half-open sockets.

        Whose access token has expired is told to come in again.
        """
        now = time.time()
        ping = encode_text(frames.ping(int(now)))
        for connection in self._in_turn():
            if connection.socket.closing:
                connection.socket.overdue()
                continue
            if connection.ends_at is not None and connection.ends_at <= now:
                connection.goodbye(frames.SERVER_RESTART, reconnect=True)
                continue
            connection.socket.send(ping)
            if life:
                connection.socket.beat()

    def _beat_presence(self, touch: Callable[[list[str]], None]) -> None:
        while True:
            gevent.sleep(self._presence_seconds)
            try:
                if tokens := self.presence_tokens():
                    touch(tokens)
            except Exception as error:
                log.warning("presence_beat_failed", error=type(error).__name__)

    def _beat_status(self, say: Callable[[], None]) -> None:
        while True:
            gevent.sleep(BEAT_SECONDS)
            try:
                say()
            except Exception as error:
                log.warning("status_beat_failed", error=type(error).__name__)


def _named(name: str, beat: Callable[..., None], *args: Any) -> gevent.Greenlet:
    greenlet = gevent.spawn(beat, *args)
    greenlet.name = name
    return greenlet
