"""Steering from outside, with the gateway's token: `POST /__control` does one thing, `GET /__ledger` tells all."""

import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from webapp.playground.gateway.house import Faults, Settings
from webapp.playground.gateway.refusals import Refused
from webapp.playground.gateway.server import Asked

if TYPE_CHECKING:
    from webapp.playground.gateway.gateway import PlaygroundGateway

FAULTS = {each.name for each in fields(Faults)} - {"chance"}
SETTINGS = {each.name for each in fields(Settings)} - {"token", "habits", "certificate"}
SECONDS = ("back", "away", "expected", "starting", "patience")


class Control:
    """The body is an object with `do`, one of the verbs below, and what that verb takes. Times are milliseconds."""

    def __init__(self, gateway: "PlaygroundGateway") -> None:
        self._gateway = gateway
        self._verbs: dict[str, Callable[..., Any]] = {
            "faults": self._faults,
            "settings": self._settings,
            "cut": gateway.cut,
            "freeze": lambda on=True: gateway.freeze(bool(on)),
            "close": lambda code, reason="": gateway.close(int(code), str(reason)),
            "hostile": self._hostile,
            "inject": lambda session_key, message, label=None: {"run_id": gateway.inject(session_key, message, label)},
            "job": lambda session_key, text: {"run_id": gateway.fire_job(session_key, text).run_id},
            "approve": lambda request_id: gateway.approve(request_id),
            "reject": lambda request_id: gateway.reject(request_id),
            "revoke": lambda device_id: gateway.revoke(device_id),
            "decide": lambda id, decision: gateway.decide(id, decision),
            "pending": self._pending,
            "drain": gateway.drain,
            "stop": lambda patience=0: self._later(lambda: gateway.stop(patience)),
            "restart": lambda **given: self._later(lambda: gateway.restart(**given)),
            "crash": lambda back=0, starting=0: self._later(lambda: self._crash(back, starting)),
            "exit": lambda: self._later(gateway.on_exit),
        }

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Status and body."""
        if not hmac.compare_digest((asked.bearer or "").encode(), self._gateway.token.encode()):
            return 401, {"error": "send the gateway's token as Authorization: Bearer"}
        if (asked.method, asked.path) == ("GET", "/__ledger"):
            with self._gateway.house.lock:
                return 200, self._gateway.ledger.as_json()
        if (asked.method, asked.path) != ("POST", "/__control"):
            return 405, {"error": "POST /__control, GET /__ledger"}
        try:
            body = json.loads(asked.body)
            verb = self._verbs[body.pop("do")]
        except (ValueError, KeyError, TypeError, AttributeError):
            return 400, {"error": f"send an object with do, one of: {', '.join(self._verbs)}"}
        try:
            for name in SECONDS:
                if name in body:
                    body[name] = body[name] / 1000
            return 200, {"ok": True, **(verb(**body) or {})}
        except (TypeError, ValueError, KeyError, Refused) as error:
            return 400, {"error": str(error)}

    def _faults(self, **given: Any) -> dict[str, Any]:
        """Set some or all; `delay` is [least, most]; `seed` begins the dice anew; `clear` forgets all others."""
        house = self._gateway.house
        with house.lock:
            if given.pop("clear", False):
                house.faults = Faults()
            seed = given.pop("seed", None)
            if seed is not None:
                house.faults.chance.seed(seed)
            for name, value in given.items():
                if name not in FAULTS:
                    raise ValueError(f"no such fault: {name}. There are: {', '.join(sorted(FAULTS))}")
                if name == "delay":
                    value = (value[0] / 1000, value[1] / 1000)
                setattr(house.faults, name, tuple(value) if name == "states" else value)
            shown = asdict(house.faults)
        shown.pop("chance")
        return {"faults": shown}

    def _settings(self, **given: Any) -> dict[str, Any]:
        """Set some; those that hold for a life (protocol, dialect, tick) are heeded after the next start."""
        settings = self._gateway.settings
        for name, value in given.items():
            if name not in SETTINGS:
                raise ValueError(f"no such setting: {name}. There are: {', '.join(sorted(SETTINGS))}")
            kind = type(getattr(settings, name))
            if kind is float:
                value = value / 1000
            setattr(settings, name, value if name == "pace" else kind(value))
        return {"settings": {name: getattr(settings, name) for name in sorted(SETTINGS)}}

    def _hostile(self, kind: str, session_key: str = "main", count: int = 0, size: int = 0) -> None:
        self._gateway.hostile(kind, session_key, count, size)

    def _pending(self) -> dict[str, Any]:
        house = self._gateway.house
        with house.lock:
            devices = [each.as_json() for each in house.devices.pending.values()]
            return {"devices": devices, "approvals": [each.as_json(4) for each in self._gateway.approvals.pending]}

    def _crash(self, back: float, starting: float) -> None:
        self._gateway.crash()
        threading.Event().wait(back)
        self._gateway.start(starting)

    def _later(self, call: Callable[[], object]) -> None:
        # Answered first: the socket that asked dies with all others.
        threading.Timer(0.05, call).start()
