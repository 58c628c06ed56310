"""One client: challenged, let in or refused, heard, and told what happens, faults and all."""

import contextlib
import secrets
import time
import uuid
from typing import Any

from webapp.playground.gateway import refusals
from webapp.playground.gateway.admission import Admission, Admitted, Visitor
from webapp.playground.gateway.frames import NoRequest, OpenClaw, Request
from webapp.playground.gateway.hello import hello
from webapp.playground.gateway.house import House
from webapp.playground.gateway.jsonrpc import JsonRpc
from webapp.playground.gateway.methods import Call, Methods
from webapp.playground.gateway.refusals import Refused
from webapp.playground.gateway.sessions import milliseconds
from webapp.playground.gateway.wire import FRAME, Wire

HELD = 0.25  # seconds a frame is held back at most, to be sent after the next one
DROPPABLE = ("agent", "health", "tick")


class Connection:
    """`serve` on the thread that accepted it, until it ends."""

    def __init__(self, house: House, wire: Wire, methods: Methods, admission: Admission, visitor: Visitor) -> None:
        self.id = str(uuid.uuid4())
        self.admitted: Admitted | None = None
        self.subscribed: set[str] = set()
        self.wire = wire
        self.seq = 0
        self._house = house
        self._methods = methods
        self._admission = admission
        self._visitor = visitor
        self._dialect: OpenClaw | JsonRpc = JsonRpc() if house.settings.dialect == "jsonrpc" else OpenClaw()
        self._held: str | None = None
        self._late = 0.0  # no frame leaves before the one in front of it
        self._record = {"id": self.id, "at": time.time(), "client": None, "scopes": None, "ended_at": None}

    def serve(self, phase: str, bearer: str | None) -> None:
        """Read until the socket ends; `phase` is that of the gateway, `bearer` the token of the upgrade, if any."""
        with self._house.lock:
            self._house.ledger.connections.append(self._record)
            self._house.connections.append(self)
        try:
            self.wire.patience(self._house.settings.handshake)
            if self._dialect.greets:
                self._challenge()
                self._meet(phase)
            else:
                self._welcome(bearer)
            while self.admitted is not None and (given := self.wire.receive()) is not None:
                self._take(given)
        except TimeoutError:
            self.wire.close(1000)
        finally:
            self._leave()

    def event(self, name: str, payload: Any, **beside: Any) -> bool:
        """Send an event; False when it was not, by a fault or because the connection is over."""
        with self._house.lock:
            self.seq += 1
            text = self._dialect.event(name, payload, seq=self.seq, **beside)
            if text is None:
                self.seq -= 1
                return False
            if name == "chat":
                return self._chat(payload, text)
            return self.wire.send(text, not_before=self._late, droppable=name in DROPPABLE)

    def cut(self) -> None:
        """End it without a goodbye."""
        self.wire.cut()

    def _chat(self, payload: dict[str, Any], text: str) -> bool:
        faults, state = self._house.faults, str(payload.get("state"))
        fate = faults.fate(state)
        if fate:
            entry = self._house.ledger.find(payload["runId"])
            if entry is not None:
                entry.spoilt.append(f"{fate} {state}")
        if faults.cut_after is not None:
            faults.cut_after -= 1
            if faults.cut_after < 0:
                faults.cut_after = None
                for each in list(self._house.connections):
                    each.cut()
                return False
        if fate == "drop":
            return False
        low, high = faults.delay
        if high:
            self._late = max(self._late, time.monotonic() + faults.chance.uniform(low, high))
        if fate == "reorder" and self._held is None:
            self._held = text
            self._house.clock.after(HELD, self._release)
            return self.wire.open
        sent = self.wire.send(text, not_before=self._late, droppable=state == "delta")
        if fate == "duplicate":
            self.wire.send(text, not_before=self._late)
        self._release()
        return sent

    def _release(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            self.wire.send(held, not_before=self._late)

    def _challenge(self) -> None:
        payload: dict[str, Any] = {"nonce": self._visitor.nonce, "ts": milliseconds()}
        if self._house.settings.protocol > 3:
            payload["capabilities"] = ["model-catalog-snapshot"]
        text = self._dialect.event("connect.challenge", payload)
        assert text is not None
        self.wire.send(text)

    def _meet(self, phase: str) -> None:
        given = self.wire.receive()
        if given is None:
            return
        try:
            request = self._dialect.read(given)
        except NoRequest:
            self.wire.close(1008, "invalid request frame")
            return
        try:
            if request.method != "connect":
                raise refusals.handshake("invalid handshake: first request must be connect")
            if phase == "starting":
                raise refusals.starting()
            with self._house.lock:
                admitted = self._judge(request.params)
                self._let_in(admitted)
                self.wire.send(self._dialect.response(request.id, self._hello(admitted)))
        except Refused as refused:
            self.wire.send(self._dialect.refusal(request.id, refused))
            self.wire.close(refused.close, refused.reason)
            self.wire.receive()  # until the client has read it and gone
        self._house.notify()

    def _judge(self, params: dict[str, Any]) -> Admitted:
        try:
            return self._admission.judge(params, self._visitor)
        finally:
            for pending in self._admission.asked:
                self._methods.announce(pending)
            self._admission.asked.clear()

    def _welcome(self, bearer: str | None) -> None:
        # In the older dialect a socket that is open is connected; its token came with the upgrade.
        scopes = ("operator.read", "operator.write", "operator.approvals", "operator.admin")
        if bearer != self._admission.token:
            self.wire.close(1008, "unauthorized")
            self.wire.receive()
            return
        client = {"id": "gateway-client", "mode": "backend"}
        with self._house.lock:
            self._let_in(Admitted(client, "operator", scopes, frozenset(("approvals", "exec-approvals")), "token"))
            self.event("health", {})

    def _let_in(self, admitted: Admitted) -> None:
        self.admitted = admitted
        self._record |= {"client": admitted.client["id"], "scopes": list(admitted.scopes)}
        self.wire.largest = FRAME
        self.wire.patience(None)
        self._house.notify()

    def _hello(self, admitted: Admitted) -> dict[str, Any]:
        house = self._house
        return hello(
            house.settings.protocol,
            admitted,
            connection_id=self.id,
            boot_id=house.boot_id,
            methods=["connect", *self._methods.table],
            default_agent=house.default_agent,
            uptime=time.monotonic() - house.started_at,
            tick=house.settings.tick,
            canvas=f"{self._visitor.own_origins[0]}/__openclaw__/cap/{secrets.token_urlsafe(24)}",
        )

    def _take(self, given: str) -> None:
        try:
            request = self._dialect.read(given)
        except NoRequest as wrong:
            if wrong.answerable:
                self.wire.send(self._dialect.refusal(wrong.id, refusals.invalid("invalid request frame")))
            return
        with self._house.lock:
            self._answer(request)

    def _answer(self, request: Request) -> None:
        def reply(payload: Any) -> None:
            self.wire.send(self._dialect.response(request.id, payload), not_before=self._late)

        try:
            if request.method == "connect":
                raise refusals.invalid("connect is only valid as the first request")
            payload = self._methods.call(request.method, Call(request.params, self, reply))
        except Refused as refused:
            self.wire.send(self._dialect.refusal(request.id, refused), not_before=self._late)
        else:
            if payload is not None:
                reply(payload)

    def _leave(self) -> None:
        with self._house.lock:
            self._record["ended_at"] = time.time()
            with contextlib.suppress(ValueError):
                self._house.connections.remove(self)
        self.wire.finish()
        self._house.notify()
