"""Who follows which stream. One greenlet a process listens for NOTIFY, reads the rows, and forwards in commit order.

Rows are the truth: a nudge carries ids only. What all followers of an event need alike is read, rendered and encoded
once (`Heard.row`, `Heard.once`).
"""

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import gevent
import psycopg
import structlog
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from models.broadcast import CHANNEL, Broadcast

log = structlog.get_logger("streams")

BATCH = 200
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)
# A connection that only listens sends nothing: this is how a frozen or vanished database is noticed.
CHECK_SECONDS = 10.0
# Between the making of a page and its subscription something may happen: for so long is remembered what did.
LATELY_SECONDS = 30.0

Reader = Callable[[Sequence[Broadcast]], Sequence[Any]]


class Heard:
    """One event as its followers get it: the nudge, the row it is about, and what was already made of it."""

    __slots__ = ("_made", "event", "ids", "row", "stream")

    def __init__(self, nudge: Broadcast, row: Any = None) -> None:
        self.stream, self.event, self.ids, self.row = nudge.stream, nudge.event, nudge.ids, row
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` gives, made by the first follower who asks and shared by all."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


Follower = Callable[[Heard], None]


class Streams:
    """The followers of this process. `readers` maps an event's name to a function that reads a batch of its rows."""

    def __init__(
        self, url: str, readers: Mapping[str, Reader] | None = None, after: Callable[[], None] = lambda: None
    ) -> None:
        """`url` is SQLAlchemy's; nothing is opened before `start`. `after` is called when a batch was forwarded."""
        self._dsn = conninfo(url)
        self._readers = dict(readers or {})
        self._after = after
        self._followers: dict[str, list[Follower]] = defaultdict(list)
        self._lately: dict[str, dict[str, float]] = defaultdict(dict)
        self._forgot = time.monotonic()
        self._heard_all_since = 0.0  # what was told before that may have been missed here
        self._greenlet: gevent.Greenlet | None = None
        self.listening = False
        self.heard_total = 0
        self.lost_since: float | None = None

    def follow(self, stream: str, follower: Follower) -> None:
        """From now on `follower` is called for each event of the stream, in commit order."""
        self._followers[stream].append(follower)

    def leave(self, stream: str, follower: Follower) -> None:
        """Ends `follow`; leaving twice is no error."""
        followers = self._followers.get(stream)
        if followers is None or follower not in followers:
            return
        followers.remove(follower)
        if not followers:
            del self._followers[stream]

    def followed(self, kind: str) -> list[int]:
        """The ids of the streams of a kind that are followed here."""
        return [int(stream.partition(":")[2]) for stream in self._followers if stream.startswith(f"{kind}:")]

    def lately(self, stream: str, seconds: float) -> list[str]:
        """The names of what was told of a stream in the last so many seconds.

        Only "look_again" where that reaches beyond what is remembered, or into a time when nobody listened here.
        """
        since = time.monotonic() - seconds
        if seconds >= LATELY_SECONDS or since < self._heard_all_since:
            return ["look_again"]
        return [event for event, at in self._lately.get(stream, {}).items() if at >= since]

    def pass_on(self, nudge: Broadcast, row: Any) -> None:
        """Tells the followers in this process of something passing, which no row remembers."""
        self._tell(nudge.stream, Heard(nudge, row))

    def start(self) -> None:
        """Begins to listen."""
        self._greenlet = gevent.spawn(self._run)
        self._greenlet.name = "streams"

    def stop(self) -> None:
        """Stops listening."""
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None
        self.listening = False

    def _run(self) -> None:
        tries = 0
        while True:
            try:
                with psycopg.connect(self._dsn, autocommit=True, connect_timeout=3) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._came_back()
                    tries = 0
                    self._listen(connection)
            except psycopg.Error as error:
                self._went_away(error)
            gevent.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
            tries += 1

    def _listen(self, connection: psycopg.Connection) -> None:
        while True:
            batch = [found.payload for found in connection.notifies(timeout=CHECK_SECONDS, stop_after=1)]
            batch += [found.payload for found in connection.notifies(timeout=0)] if batch else []
            if not batch:
                _answers(connection)
                continue
            for start in range(0, len(batch), BATCH):
                self.heard(batch[start : start + BATCH])

    def _went_away(self, error: Exception) -> None:
        if self.listening or self.lost_since is None:
            log.warning("listening_lost", error=type(error).__name__)
            self.lost_since = time.monotonic()
        self.listening = False

    def _came_back(self) -> None:
        self.listening = True
        self._heard_all_since = time.monotonic()
        if self.lost_since is None:
            return
        self.lost_since = None
        self._lately.clear()
        log.info("listening_again", streams=len(self._followers))
        for stream in list(self._followers):
            self._tell(stream, Heard(Broadcast(stream, "look_again")))

    def heard(self, payloads: Sequence[str]) -> None:
        """A batch of nudges, as they were sent: read, remembered and forwarded."""
        told = [nudge for nudge in map(_parsed, payloads) if nudge is not None]
        self._remember(told)
        nudges = [nudge for nudge in told if nudge.stream in self._followers]
        self.heard_total += len(payloads)
        rows = self._read(nudges)
        for place, nudge in enumerate(nudges):
            self._tell(nudge.stream, Heard(nudge, rows.get(place)))
        if nudges:
            self._after()

    def _remember(self, told: Sequence[Broadcast]) -> None:
        now = time.monotonic()
        if now - self._forgot > LATELY_SECONDS:
            self._forgot, kept = now, self._lately
            self._lately = defaultdict(dict)
            for stream, events in kept.items():
                if fresh := {event: at for event, at in events.items() if now - at <= LATELY_SECONDS}:
                    self._lately[stream] = fresh
        for nudge in told:
            self._lately[nudge.stream][nudge.event] = now

    def _read(self, nudges: Sequence[Broadcast]) -> dict[int, Any]:
        """The rows of a batch by place, one query per kind of event; a kind that cannot be read leaves its rows out."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, nudge in enumerate(nudges):
            if nudge.event in self._readers:
                places[nudge.event].append(place)
        rows: dict[int, Any] = {}
        for event, where in places.items():
            try:
                found = self._readers[event]([nudges[place] for place in where])
                rows.update(zip(where, found, strict=True))
            except Exception:
                log.exception("broadcast_unread", event_name=event, count=len(where))
        return rows

    def _tell(self, stream: str, heard: Heard) -> None:
        for follower in list(self._followers.get(stream, ())):
            try:
                follower(heard)
            except Exception:
                log.exception("follower_failed", stream=stream, event_name=heard.event)


def conninfo(url: str) -> str:
    """SQLAlchemy's URL in libpq's words. As a URL it would not do: a space in a socket's path is written as "+"."""
    parts = make_url(url)
    named = {"host": parts.host, "port": parts.port, "user": parts.username, "password": parts.password}
    options = {name: str(value) for name, value in {**named, **parts.query}.items() if value}
    return make_conninfo(dbname=parts.database, **options)


def _parsed(payload: str) -> Broadcast | None:
    try:
        return Broadcast.parse(payload)
    except ValueError:
        log.warning("broadcast_unreadable", bytes=len(payload))
        return None


def _answers(connection: psycopg.Connection) -> None:
    """Raises a psycopg error when the database does not answer within five seconds."""
    with gevent.Timeout(5, psycopg.OperationalError("the database does not answer")):
        connection.execute("SELECT 1")
