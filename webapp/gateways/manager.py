"""Which gateway has which connection, and who shares it.

A user of a connection is an agent (any id will do). Attaching one opens nothing: the first `get` does, and whoever asks
meanwhile waits on the same handshake. One address has one connection, and one key: nobody acts under another's.
"""

import time
from collections.abc import Callable
from typing import Any

import gevent
import structlog
from gevent.event import AsyncResult

from models.errors import UrlRefused
from models.gateway_address import normalise
from webapp.gateways.connection import GOING_AWAY, NORMAL, GatewayConnection
from webapp.gateways.credentials import Credentials
from webapp.gateways.place import Place, UserId
from webapp.gateways.refusals import ConnectionLost, Refused
from webapp.gateways.wire import Event

log = structlog.get_logger("gateways")

IDLE_SECONDS = 600.0

# Makes a connection that is not open yet: (url, credentials, dialect, on_event, on_missed).
Maker = Callable[..., GatewayConnection]
Handler = Callable[[GatewayConnection, Event], None]
MissedHandler = Callable[[GatewayConnection, int], None]


class ConnectionManager:
    """The connections of this process. `status`, `users_of` and `is_connected` start nothing."""

    def __init__(
        self,
        make: Maker = GatewayConnection,
        *,
        kept: Callable[[str], bool] = lambda url: False,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`kept(url)` says whether an address stays connected without users. It gets the normalised URL and must not
        wait: it is asked from within the event loop.
        """
        self._make, self._kept, self._clock = make, kept, clock
        self._idle_seconds = idle_seconds
        self._places: dict[str, Place] = {}
        self._url_of: dict[UserId, str] = {}
        self._handler: Handler | None = None
        self._missed_handler: MissedHandler | None = None
        self._stopping = False

    def listen(self, handler: Handler, missed: MissedHandler | None = None) -> None:
        """Registers who hears all events of all connections, those that are open included. It must not wait."""
        self._handler, self._missed_handler = handler, missed

    # -- who shares what ---------------------------------------------------------------------------------------

    def attach(self, user_id: UserId, url: str, credentials: Credentials, dialect: str = "openclaw") -> None:
        """Gives a user its place; one it had at another address is released.

        Raises UrlRefused for a blank or malformed URL, Refused (`key_differs`) when others share the address with
        another key. Then nothing has changed.
        """
        exact = normalise(url)
        place = self._place(exact, credentials, dialect, sharing={user_id})
        if self._url_of.get(user_id, exact) != exact:
            self.release(user_id)
        place.users.add(user_id)
        self._url_of[user_id] = exact

    def release(self, user_id: UserId, reason: str = "its last user left") -> None:
        """Takes a user's place back; the last one to leave closes the connection, unless its address is kept."""
        url = self._url_of.pop(user_id, None)
        place = self._places.get(url) if url is not None else None
        if place is None:
            return
        place.users.discard(user_id)
        if not place.users and not self._kept(place.url):
            self.disconnect(place.url, reason)

    def users_of(self, url: str) -> set[UserId]:
        """Who shares this address."""
        place = self._places.get(normalise(url))
        return set(place.users) if place is not None else set()

    def is_connected(self, user_id: UserId) -> bool:
        """Whether the user's gateway is connected now."""
        place = self._places.get(self._url_of.get(user_id, ""))
        return place is not None and place.is_connected

    def connection(self, url: str) -> GatewayConnection | None:
        """The open connection of an address, or None; opens nothing."""
        place = self._places.get(normalise(url))
        return place.connection if place is not None and place.is_connected else None

    def status(self) -> dict[str, Any]:
        """`connections` (url, state, users), `total_connections` (those that are open), `total_users`."""
        shown = [
            {"url": place.url, "state": str(place.state), "users": sorted(place.users, key=str)}
            for place in self._places.values()
        ]
        return {
            "connections": shown,
            "total_connections": sum(place.is_connected for place in self._places.values()),
            "total_users": len(self._url_of),
        }

    # -- opening -----------------------------------------------------------------------------------------------

    def get(self, user_id: UserId) -> GatewayConnection:
        """The user's open connection, opened now if need be.

        Raises UrlRefused for a user without a place, Refused when the gateway does not take us, ConnectionLost when it
        is disconnected meanwhile. A refusal is repeated without asking the gateway again until its time is over, for
        good when it waits for a person: a wrong token that is shown in a loop gets this hub locked out.
        """
        place = self._places.get(self._url_of.get(user_id, ""))
        if place is None:
            raise UrlRefused("This agent has no gateway. Choose one, then try again.")
        if (refused := place.still_refused(self._clock())) is not None:
            raise refused
        return self._opened(place)

    def connect(self, url: str, credentials: Credentials, dialect: str = "openclaw") -> GatewayConnection:
        """The open connection of an address, for who is no user of it: a supervisor, a test. As `get` otherwise, but
        it does ask again after a refusal.
        """
        return self._opened(self._place(normalise(url), credentials, dialect, sharing=set()))

    def change_key(self, url: str, credentials: Credentials) -> None:
        """A new key for all users of an address; a connection under the old one is closed."""
        place = self._places.get(normalise(url))
        if place is None:
            return
        same = place.credentials.same_key(credentials)
        place.credentials, place.refused = credentials, None
        if not same:
            self._drop(place, "its key was changed")

    def _place(self, url: str, credentials: Credentials, dialect: str, sharing: set[UserId]) -> Place:
        """The place of an address; a place that only `sharing` use takes the new key."""
        place = self._places.get(url)
        if place is None:
            place = self._places[url] = Place(url, credentials, dialect, used_at=self._clock())
            return place
        if place.credentials.same_key(credentials):
            if place.credentials.device_token != credentials.device_token:
                place.refused = None
            place.credentials = credentials  # scopes or the device token may be newer
        elif place.users - sharing or (place.connection is not None and not sharing & place.users):
            raise Refused(
                "key_differs",
                "Another agent or gateway uses this address with another key.",
                "Give both the same key, or leave this one without a key of its own.",
                fatal=True,
            )
        else:
            self._drop(place, "its key was changed")
            place.credentials, place.refused = credentials, None
        place.dialect = dialect
        return place

    def _opened(self, place: Place) -> GatewayConnection:
        if self._stopping:
            raise ConnectionLost("this hub is stopping")
        place.used_at = self._clock()
        if place.is_connected:
            assert place.connection is not None
            return place.connection
        if place.opening is None:
            place.opening = AsyncResult()
            # A greenlet of its own: whoever asked first may be killed, and the others still get their answer.
            place.greenlet = gevent.spawn(self._open, place, place.opening)
            place.greenlet.name = f"gateway {place.url} opens"
        return place.opening.get()

    def _open(self, place: Place, opening: AsyncResult) -> None:
        connection = self._make(place.url, place.credentials, place.dialect, self._hear, on_missed=self._miss)
        place.connection = connection
        try:
            connection.open()
        except Exception as error:
            wanted = place.opening is opening
            if wanted:
                place.connection, place.opening = None, None
                if isinstance(error, Refused):
                    place.was_refused(error, self._clock())
                self._forget_unwanted(place)
                opening.set_exception(error)
            return
        wanted = place.opening is opening
        if not wanted:
            connection.close("not wanted any more")
            return
        place.opening, place.was_lost, place.refused = None, False, None
        place.used_at = self._clock()
        connection.closed.rawlink(lambda _: self._ended(place, connection))
        opening.set(connection)

    def _ended(self, place: Place, connection: GatewayConnection) -> None:
        """A connection that we did not end ourselves is expected back as long as somebody wants it."""
        if place.connection is connection:
            place.connection, place.was_lost = None, True
            self._forget_unwanted(place)

    def _forget_unwanted(self, place: Place) -> None:
        if not place.users and not self._kept(place.url) and self._places.get(place.url) is place:
            del self._places[place.url]

    def _hear(self, connection: GatewayConnection, event: Event) -> None:
        if self._handler is not None:
            self._handler(connection, event)

    def _miss(self, connection: GatewayConnection, count: int) -> None:
        if self._missed_handler is not None:
            self._missed_handler(connection, count)

    # -- closing -----------------------------------------------------------------------------------------------

    def disconnect(self, url: str, reason: str = "disconnected by this hub", code: int = NORMAL) -> None:
        """Closes the connection of an address and releases all its users' places."""
        place = self._places.pop(normalise(url), None)
        if place is None:
            return
        for user_id in place.users:
            self._url_of.pop(user_id, None)
        self._drop(place, reason, code)

    def disconnect_all(self, reason: str = "disconnected by this hub", code: int = NORMAL) -> None:
        """The same for every address."""
        farewells = [gevent.spawn(self.disconnect, url, reason, code) for url in list(self._places)]
        gevent.joinall(farewells)

    def close_idle(self) -> int:
        """Closes what nobody has used for the idle time, unless it is kept. Users keep their places. Says how many."""
        idle = [place for place in self._places.values() if place.is_connected and self._is_idle(place)]
        for place in idle:
            self._drop(place, f"nobody used it for {self._idle_seconds:g} seconds")
            self._forget_unwanted(place)
        return len(idle)

    def shutdown(self) -> None:
        """Says goodbye everywhere; nothing is opened any more."""
        self._stopping = True
        self.disconnect_all("this hub is stopping", GOING_AWAY)

    def _is_idle(self, place: Place) -> bool:
        used = max(place.used_at, place.connection.last_used if place.connection is not None else 0.0)
        return self._clock() - used >= self._idle_seconds and not self._kept(place.url)

    def _drop(self, place: Place, reason: str, code: int = NORMAL) -> None:
        """Ends the place's connection, or its beginning, on purpose: it is not expected back."""
        connection, opening, greenlet = place.connection, place.opening, place.greenlet
        place.connection = place.opening = place.greenlet = None
        place.was_lost = False
        if connection is not None:
            connection.close(reason, code)
        if opening is not None and not opening.ready():
            if greenlet is not None:
                greenlet.kill(block=False)
            opening.set_exception(ConnectionLost(reason))
