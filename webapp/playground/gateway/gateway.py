"""A gateway on a local socket: speaks what real ones speak, breaks when told to, and accounts for all it said."""

import contextlib
import hashlib
import secrets
import socket
import threading
import uuid
from collections.abc import Callable
from typing import Any

from webapp.playground.gateway import hostile
from webapp.playground.gateway.admission import Admission, Visitor, is_loopback
from webapp.playground.gateway.approvals import Approvals
from webapp.playground.gateway.connection import Connection
from webapp.playground.gateway.control import Control
from webapp.playground.gateway.hello import health, probe
from webapp.playground.gateway.house import House, Seen, Settings
from webapp.playground.gateway.jobs import Jobs, provenance
from webapp.playground.gateway.ledger import Entry, Ledger
from webapp.playground.gateway.methods import Methods
from webapp.playground.gateway.server import Asked, Door, Server
from webapp.playground.gateway.sessions import milliseconds
from webapp.playground.gateway.tls import TlsSocket
from webapp.playground.gateway.turns import Turns
from webapp.playground.gateway.wire import GOODBYE, Wire

DOWN, STARTING, ACCEPTING, DRAINING = "down", "starting", "accepting", "draining"


class PlaygroundGateway:
    """Verbs: start, drain, stop, restart, crash; approve, revoke; inject, fire_job; cut, freeze, hostile.

    `settings` and `faults` may be changed at any time (see house.Settings and house.Faults); `ledger` outlives every
    crash of this object. Several may run in one process. Nothing in here waits without a deadline.
    """

    def __init__(
        self, port: int = 0, token: str | None = None, agents: tuple[str, ...] | list[str] = ("main",), **settings: Any
    ) -> None:
        self.settings = Settings(token or secrets.token_urlsafe(24), **settings)
        self.house = House(self.settings, tuple(agents))
        self.port = port
        self.phase = DOWN
        self.on_exit: Callable[[], None] = self.crash  # what the control's `exit` does
        self._jobs = Jobs(self.house)
        self._control = Control(self)
        self._server: Server | None = None
        self._new_life()

    @property
    def token(self) -> str:
        """The shared secret."""
        return self.settings.token

    @property
    def token_id(self) -> str:
        """What may be shown of the token."""
        return hashlib.sha256(self.token.encode()).hexdigest()[:8]

    @property
    def url(self) -> str:
        """Where to connect to."""
        return f"{'wss' if self.settings.certificate else 'ws'}://127.0.0.1:{self.port}"

    @property
    def ledger(self) -> Ledger:
        """All that was asked and said."""
        return self.house.ledger

    @property
    def faults(self) -> Any:
        """What goes wrong at the moment."""
        return self.house.faults

    @property
    def connections(self) -> list[Any]:
        """Clients that were let in."""
        return [each for each in self.house.connections if each.admitted is not None]

    def wait_for(self, condition: Callable[[], Seen], seconds: float = 10.0, what: str = "a change") -> Seen:
        """Block until `condition()` is true and return its value; TimeoutError when it is late."""
        return self.house.wait_for(condition, seconds, what)

    def start(self, starting: float = 0.0) -> "PlaygroundGateway":
        """Listen; for `starting` seconds every handshake is refused with 1013. Interrupted runs are taken up again."""
        with self.house.lock:
            assert self.phase == DOWN, "it runs already"
            queued = self.turns.waiting
            self._new_life()
            door = Door(self._http, self._admit, self._serve)
            self._server = Server(self.port, door, self.settings.certificate)
            self.port = self._server.port
            self.phase = STARTING if starting else ACCEPTING
            clock, settings = self.house.clock, self.settings
            clock.after(starting, self._accept)
            clock.every(settings.tick, lambda: self._beat("tick", {"ts": milliseconds()}))
            clock.every(settings.health, lambda: self._beat("health", health(self.house.default_agent)))
            clock.every(settings.ping, self._ping)
            clock.after(starting + settings.resume, lambda: self.turns.resume(queued))
            self._jobs.arm(self.turns)
        self.house.notify()
        return self

    def drain(self) -> None:
        """New sockets get 503; who is connected goes on."""
        with self.house.lock:
            self.phase = DRAINING
        self.house.notify()

    def stop(self, patience: float = 0.0) -> None:
        """Drain for up to `patience` seconds, say `gateway stopping`, close with 1012."""
        self._shut_down("gateway stopping", None, patience)

    def restart(
        self, expected: float = 1.5, *, away: float = 0.0, starting: float = 0.0, patience: float = 0.0
    ) -> None:
        """Say that it will be back in `expected` seconds, stay away for `away`, then start again."""
        self._shut_down("gateway restarting", expected, patience)
        if away:
            threading.Event().wait(away)
        self.start(starting)

    def crash(self) -> None:
        """Die: no goodbye, all connections reset, every run in flight lost. `start` is the next life."""
        with self.house.lock:
            if self.phase == DOWN:
                return
            self.phase = DOWN
            self.turns.lose_all()
            self.house.clock.stop()
            connections = list(self.house.connections)
        for each in connections:
            each.cut()
        self._close_port()
        self.house.notify()

    def approve(self, request_id: str) -> None:
        """Let a device in that asked; refusals.Refused when none asked under this id."""
        with self.house.lock:
            self._methods.pair(request_id)

    def reject(self, request_id: str) -> None:
        """Turn a device away."""
        with self.house.lock:
            self._methods.turn_away(request_id)

    def revoke(self, device_id: str) -> None:
        """A paired device is a stranger again; KeyError when it was one."""
        with self.house.lock:
            self.house.devices.revoke(device_id)

    def decide(self, approval_id: str, decision: str) -> None:
        """Decide an approval as some other operator."""
        with self.house.lock:
            self.approvals.resolve(approval_id, decision, "playground")

    def inject(self, session_key: str, message: str, label: str | None = None) -> str:
        """Say something in a session; the run id under which it is told."""
        with self.house.lock:
            return f"inject-{self.turns.inject(self.house.key(session_key), message, label)}"

    def fire_job(self, session_key: str, text: str) -> Entry:
        """A scheduled job speaks into a session now; its entry in the ledger."""
        with self.house.lock:
            return self.turns.job(self.house.key(session_key), text, provenance(str(uuid.uuid4())))

    def cut(self) -> None:
        """Reset every socket; everything else goes on."""
        for each in list(self.house.connections):
            each.cut()

    def freeze(self, frozen: bool = True) -> None:
        """Write nothing and answer no ping while all sockets stay open; `freeze(False)` lets go what was held back."""
        with self.house.lock:
            self.house.silent = frozen
            for each in self.connections:
                each.wire.freeze(frozen)

    def close(self, code: int, reason: str = "") -> None:
        """Close every socket with a code of one's choice, such as 1008 `slow consumer`."""
        for each in self.connections:
            each.wire.close(code, reason)

    def hostile(self, kind: str, session_key: str = "main", count: int = 0, size: int = 0) -> threading.Thread:
        """Send what no gateway should (see hostile.KINDS and RAW) on a thread of its own, which is returned."""
        if kind not in hostile.KINDS and kind not in hostile.RAW and kind != "binary":
            raise ValueError(f"no such kind: {kind}")
        thread = threading.Thread(target=self._torment, args=(kind, session_key, count, size), daemon=True)
        thread.start()
        return thread

    def _torment(self, kind: str, session_key: str, count: int, size: int) -> None:
        wires = [each.wire for each in self.connections]
        if kind in hostile.RAW or kind == "binary":
            for wire in wires:
                wire.send_raw(hostile.RAW[kind]) if kind in hostile.RAW else wire.send_binary(b"\x00" * 100)
            return
        texts = hostile.KINDS[kind](session_key, count, size)
        while wires and (some := hostile.some(texts)):
            wires = [wire for wire in wires if wire.wait_below(hostile.BACKLOG) and wire.flood(some)]

    def _new_life(self) -> None:
        self.house.boot()
        self.approvals = Approvals(self.house)
        self.turns = Turns(self.house, self.approvals)
        self._methods = Methods(self.house, self.turns, self.approvals, self._jobs)
        self._admission = Admission(self.token, self.house.devices, self.settings.protocol)

    def _accept(self) -> None:
        if self.phase == STARTING:
            self.phase = ACCEPTING
            self.house.notify()

    def _beat(self, name: str, payload: dict[str, Any]) -> None:
        if not self.house.silent:
            self.house.tell(name, payload)

    def _ping(self) -> None:
        for each in self.connections:
            each.wire.ping()

    def _shut_down(self, reason: str, expected: float | None, patience: float) -> None:
        self.drain()
        with contextlib.suppress(TimeoutError):
            self.wait_for(lambda: not self.turns.active and not self.turns.waiting_any, patience)
        with self.house.lock:
            if self.phase == DOWN:
                return
            told: dict[str, Any] = {"reason": reason}
            if expected is not None or self.settings.protocol < 4:
                told["restartExpectedMs"] = None if expected is None else round(expected * 1000)
            self.phase = DOWN
            self.turns.lose_all()
            for each in list(self.house.connections):
                each.event("shutdown", told)
                each.wire.close(1012, "service restart")
            self.house.clock.stop()
        with contextlib.suppress(TimeoutError):
            self.wait_for(lambda: not self.house.connections, GOODBYE)
        for each in list(self.house.connections):
            each.wire.finish()
        self._close_port()

    def _close_port(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _http(self, asked: Asked) -> tuple[int, Any]:
        if asked.path in ("/__ledger", "/__control"):
            return self._control.answer(asked)
        found = probe(asked.path, self.phase, self.settings.protocol) if asked.method == "GET" else None
        return found or (404, {"error": {"message": "not found"}})

    def _admit(self, asked: Asked) -> tuple[int, str] | None:
        with self.house.lock:  # nobody comes in while a life begins or ends
            return self._refusal(asked)

    def _refusal(self, asked: Asked) -> tuple[int, str] | None:
        if self.faults.refuse is not None:
            return self.faults.refuse, self.faults.location if 300 <= self.faults.refuse < 400 else "refused"
        if self.phase in (DOWN, DRAINING):
            return 503, "Gateway websocket admission closed"
        if "x-forwarded-for" in asked.headers and not self.settings.trust_proxy:
            return 403, "proxy_attribution_required"
        return None

    def _serve(self, asked: Asked, raw: socket.socket | TlsSocket) -> None:
        forwarded = asked.headers.get("x-forwarded-for", "").split(",")[0].strip()
        address = forwarded or asked.address
        visitor = Visitor(
            address=address,
            remote=self.settings.remote or not is_loopback(address),
            nonce=str(uuid.uuid4()),
            origin=asked.headers.get("origin"),
            own_origins=(f"http://127.0.0.1:{self.port}", f"http://localhost:{self.port}"),
        )
        connection = Connection(self.house, Wire(raw), self._methods, self._admission, visitor)
        connection.serve(self.phase, asked.bearer)
