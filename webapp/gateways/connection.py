"""One socket to a gateway. It lives once: opened, used, ended; whoever wants another makes a new one.

new -- open --> opening -- hello --> open -- lost, closed, silent, flooded --> ended (`closed` is set, `why` says it)
                   |                                                             ^
                   +-- refused --------------------------------------------------+

Two greenlets a connection: one reads and waits for nothing but the socket, one looks every second whether the gateway
still lives. Both end with it.
"""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Container, Mapping
from typing import Any

import gevent
import structlog
from gevent.event import Event as Signal

from webapp.gateways import addresses
from webapp.gateways.bounds import Ended, Limits
from webapp.gateways.credentials import Credentials
from webapp.gateways.dialects import dialect_of
from webapp.gateways.greeting import STEP_SECONDS, Greeting, Opener
from webapp.gateways.numbering import Numbering
from webapp.gateways.pending import Pending
from webapp.gateways.refusals import ConnectionLost, MethodRefused, NoAnswer, Refused
from webapp.gateways.websocket import WebSocket
from webapp.gateways.wire import Event, GatewayError, Hello, Response

log = structlog.get_logger("gateways")

REQUEST_SECONDS = 30.0
PING_SECONDS = 30.0
LOOK_SECONDS = 1.0
MISSED_TICKS = 2
LAST_WORDS_SECONDS = 0.5
MOST_UNKNOWN = 50
NORMAL, GOING_AWAY, SILENT = 1000, 1001, 4000

Hears = Callable[["GatewayConnection", Event], None]
Misses = Callable[["GatewayConnection", int], None]


class GatewayConnection:
    """`open`, then `request`; events come to `on_event`, which must not wait. `closed` is set at the end."""

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        dialect: str = "openclaw",
        on_event: Hears | None = None,
        *,
        on_missed: Misses | None = None,
        hosts: Container[str] = frozenset(),
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        open_socket: Opener = addresses.open_socket,
        step_seconds: float = STEP_SECONDS,
        ping_seconds: float = PING_SECONDS,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`on_missed` is told how many frames the gateway left out for us: read the history of open sessions.

        `hosts` holds what SWITCHYARD_GATEWAY_HOSTS lists; `headers` go with the upgrade; times are in seconds.
        """
        self.url, self.credentials, self.dialect = url, credentials, dialect_of(dialect)
        self.hello: Hello | None = None
        self.closed = Signal()
        self.why: str | None = None
        self.close_code: int | None = None
        self.restart_expected_ms: int | None = None
        self.latency_ms: float | None = None
        # Of frames: all, unreadable, stray (answers nobody waits for), failed (our fault).
        self.counts: Counter[str] = Counter()
        self.last_heard = self.last_used = clock()
        bounds = limits or Limits()
        self._greeting = Greeting(
            url, credentials, self.dialect, hosts, bounds, open_socket, step_seconds, headers or {}
        )
        self._on_event, self._on_missed = on_event, on_missed
        self._clock, self._ping_seconds = clock, ping_seconds
        self._began = False
        self._pending = Pending()
        self._greenlets: list[gevent.Greenlet] = []
        self._numbering = Numbering()
        self._unknown: set[str] = set()  # names of events that were logged once
        self._ping: tuple[bytes, float] = (b"", clock())

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self.hello is not None and not self.closed.is_set()

    @property
    def missed(self) -> int:
        """How many frames the gateway left out for us."""
        return self._numbering.missed

    @property
    def repeated(self) -> int:
        """How many came late or a second time."""
        return self._numbering.repeated

    @property
    def waiting(self) -> int:
        """How many requests have no answer yet."""
        return len(self._pending)

    @property
    def missing_scopes(self) -> tuple[str, ...]:
        """What was asked for and not granted."""
        return self._greeting.missing_scopes

    def open(self) -> Hello:
        """Connects and is greeted. Raises Refused, or ConnectionLost when `close` came in between. Only once."""
        if self._began or self.closed.is_set():
            raise RuntimeError("A connection lives once: make a new one.")
        self._began = True
        try:
            hello = self._greeting.run()
        except Refused as refused:
            if self.closed.is_set():
                self._greeting.cut()
                raise self._lost() from None
            self._end(refused.text)
            raise refused.passed(self.credentials.hidden) from None
        except BaseException:
            self._end("the beginning was given up")
            # `close` may have come before the socket was there to be cut: it must not outlive the greenlet.
            self._greeting.cut()
            raise
        if self.closed.is_set():
            self._greeting.cut()
            raise self._lost()
        self.hello = hello
        self.last_heard = self.last_used = self._clock()
        for text in self._greeting.early:
            self.hear(text)
        self._greeting.early.clear()
        self._start(self._read, "reads")
        self._start(self._watch, "watches")
        log.info("gateway_connected", url=self.url, protocol=hello.protocol, version=hello.version)
        return hello

    def request(self, method: str, params: Mapping[str, Any], timeout: float = REQUEST_SECONDS) -> Any:
        """Asks and waits for the answer's payload.

        Raises MethodRefused when the gateway says no, ConnectionLost when the connection is over or ends meanwhile, and
        its kind NoAnswer after `timeout` seconds: in both cases the gateway may have heard it.
        """
        hello, id = self.hello, str(uuid.uuid4())
        if hello is None or self.closed.is_set():
            raise self._lost()
        text = self.dialect.request(id, method, params)
        if len(text.encode()) > hello.max_payload:
            raise MethodRefused(GatewayError("TOO_LARGE", f"The gateway takes at most {hello.max_payload} bytes."))
        self.last_used = self._clock()
        limit = gevent.Timeout(timeout)
        try:
            with self._pending.expected(id) as answer:
                self._write(lambda socket: socket.send(text))
                with limit:
                    response: Response = answer.get()
        except gevent.Timeout as reached:
            if reached is limit:
                raise NoAnswer(f"The gateway did not answer {method} within {timeout:g} seconds.") from None
            raise
        if response.error is not None:
            raise MethodRefused(response.error.passed(self.credentials.hidden))
        return response.payload

    def close(self, reason: str, code: int = NORMAL) -> None:
        """Says goodbye and ends; a second time it does nothing."""
        self._end(reason, code, goodbye=True)

    def check(self) -> None:
        """What the watching greenlet does every second: ends a silent connection, sends a ping when one is due."""
        now, tick = self._clock(), self.hello.tick_seconds if self.hello is not None else PING_SECONDS
        if now - self.last_heard > MISSED_TICKS * tick:
            self._end(f"nothing was heard for {now - self.last_heard:.0f} seconds", SILENT, goodbye=True)
        elif now - self._ping[1] >= self._ping_seconds:
            self.ping()

    def ping(self) -> None:
        """Sends a ping; `latency_ms` is known when its pong is here."""
        payload = uuid.uuid4().hex[:8].encode()
        self._ping = (payload, self._clock())
        self._write(lambda socket: socket.ping(payload))

    # -- its greenlets -----------------------------------------------------------------------------------------

    def _start(self, loop: Callable[[], None], what: str) -> None:
        greenlet = gevent.spawn(loop)
        greenlet.name = f"gateway {self.url} {what}"
        self._greenlets.append(greenlet)

    def _read(self) -> None:
        socket = self._greeting.socket
        assert socket is not None
        try:
            while not self.closed.is_set():
                text = socket.receive()
                self.last_heard = self._clock()
                if text is not None:
                    self.hear(text)
                elif socket.pong == self._ping[0]:
                    self.latency_ms = (self.last_heard - self._ping[1]) * 1000
                    socket.pong = None
        except Ended as ended:
            self._end(ended.reason, ended.code, goodbye=ended.code is not None and not ended.heard)
        except Exception:
            log.exception("gateway_reader_failed", url=self.url)
            self._end("this hub stumbled over what the gateway sent")

    def _watch(self) -> None:
        try:
            self.ping()
            while not self.closed.wait(LOOK_SECONDS):
                self.check()
        except ConnectionLost:
            pass

    def hear(self, text: bytes) -> None:
        """One frame from the gateway."""
        self.counts["frames"] += 1
        frame = self.dialect.parse(text)
        if isinstance(frame, Response):
            if not self._pending.answer(frame):
                self.counts["stray"] += 1
        elif isinstance(frame, Event):
            self._count(frame)
            self._tell(frame)
        else:
            self.counts["unreadable"] += 1

    def _count(self, event: Event) -> None:
        hole = self._numbering.note(event.seq)
        if hole:
            log.warning("gateway_frames_missed", url=self.url, count=hole)
            if self._on_missed is not None:
                self._guarded(self._on_missed, hole)

    def _tell(self, event: Event) -> None:
        if event.name == self.dialect.TICK:
            return
        if event.name == self.dialect.SHUTDOWN:
            self.restart_expected_ms = self.dialect.restart_expected_ms(event)
        if not self.dialect.is_known(event) and event.name not in self._unknown and len(self._unknown) < MOST_UNKNOWN:
            self._unknown.add(event.name)
            log.info("gateway_event_unknown", url=self.url, event_name=event.name[:80])
        if self._on_event is not None:
            self._guarded(self._on_event, event)

    def _guarded(self, listener: Callable[["GatewayConnection", Any], None], what: Any) -> None:
        """A listener that fails must not end the connection of all others."""
        try:
            listener(self, what)
        except Exception:
            self.counts["failed"] += 1
            log.exception("gateway_event_failed", url=self.url)

    # -- its end -----------------------------------------------------------------------------------------------

    def _write(self, write: Callable[[WebSocket], None]) -> None:
        socket = self._greeting.socket
        if socket is None or self.closed.is_set():
            raise self._lost()
        try:
            write(socket)
        except Ended as ended:
            # What the gateway said before it went may still lie in our buffer: the reader tells better why.
            if not ended.ours:
                self.closed.wait(LAST_WORDS_SECONDS)
            self._end(ended.reason, ended.code)
            raise self._lost() from None

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(self.why or "the connection is not open", self.close_code, self.restart_expected_ms)

    def _end(self, reason: str, code: int | None = None, *, goodbye: bool = False) -> None:
        if self.closed.is_set():
            return
        self.why, self.close_code = self.credentials.hidden(reason), code
        self.closed.set()
        self._pending.fail(self._lost())
        socket = self._greeting.socket
        if self.hello is not None:
            why, frames = self.why[:200], self.counts["frames"]
            log.info("gateway_disconnected", url=self.url, reason=why, close_code=code, frames=frames)
        if socket is not None and goodbye and code is not None:
            socket.close(code, reason)
        self._greeting.cut()
