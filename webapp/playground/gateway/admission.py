"""Who may come in, and with which scopes: the rules of `connect`, in the order a real gateway asks."""

import hmac
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any

from webapp.playground.gateway import devices, refusals
from webapp.playground.gateway.devices import Devices, Pending
from webapp.playground.gateway.refusals import Refused, unauthorized
from webapp.playground.gateway.shapes import Shape

CLIENTS = {"gateway-client", "cli", "webchat", "webchat-ui", "openclaw-control-ui", "openclaw-tui", "node-host", "test"}
MODES = {"backend", "cli", "ui", "webchat", "node", "probe", "test", "worker"}
LIMIT, WINDOW, LOCKED = 10, 60.0, 300.0  # so many failures in so many seconds lock an address out for so long
LOOPBACK = ("127.", "::1", "localhost", "::ffff:127.")
CONNECT = Shape(
    "connect",
    required={"minProtocol": int, "maxProtocol": int, "client": dict},
    optional={
        "role": str,
        "scopes": list,
        "caps": list,
        "commands": list,
        "permissions": dict,
        "auth": dict,
        "device": dict,
        "locale": str,
        "userAgent": str,
        "pathEnv": str,
    },
)
CLIENT = Shape(
    "connect",
    required={"id": str, "version": str, "platform": str, "mode": str},
    optional={"displayName": str, "deviceFamily": str, "modelIdentifier": str, "instanceId": str},
    at="/client",
)
AUTH = Shape("connect", optional={"token": str, "password": str, "deviceToken": str}, at="/auth")
DEVICE = Shape(
    "connect",
    required={"id": str, "publicKey": str, "signature": str, "signedAt": int, "nonce": str},
    at="/device",
)


@dataclass(frozen=True)
class Visitor:
    """Where a connection comes from, and what it was challenged with."""

    address: str
    remote: bool
    nonce: str
    origin: str | None
    own_origins: tuple[str, ...]


@dataclass(frozen=True)
class Admitted:
    """A connection that may stay; `device_token` is told once more at each hello."""

    client: dict[str, Any]
    role: str
    scopes: tuple[str, ...]
    caps: frozenset[str]
    method: str
    device_id: str | None = None
    device_token: str | None = None
    issued_at: int | None = None


class Admission:
    """Judges `connect`. `asked` is told of each new request to be paired."""

    def __init__(self, token: str, known: Devices, protocol: int) -> None:
        self.token = token
        self.protocol = protocol
        self._devices = known
        self._failures: dict[str, deque[float]] = defaultdict(deque)
        self._locked: dict[str, float] = {}
        self.asked: list[Pending] = []  # to be announced by whoever called `judge`

    def judge(self, params: dict[str, Any], visitor: Visitor) -> Admitted:
        """Admitted, or Refused with the code to close with."""
        self._shape(params)
        if not params["minProtocol"] <= self.protocol <= params["maxProtocol"]:
            raise refusals.protocol_mismatch(params["minProtocol"], params["maxProtocol"], self.protocol)
        if params.get("role", "operator") not in ("operator", "node"):
            raise refusals.handshake("invalid role")
        self._origin(params["client"], visitor)
        device = params.get("device")
        if device is not None:
            devices.verify(device, params, visitor.nonce)
        return self._authorize(params, device, visitor)

    def _shape(self, params: dict[str, Any]) -> None:
        try:
            CONNECT.check(params)
            CLIENT.check(params["client"])
            AUTH.check(params.get("auth", {}))
            if "device" in params:
                DEVICE.check(params["device"])
            if params["client"]["id"] not in CLIENTS:
                raise refusals.invalid(
                    "invalid connect params: at /client/id: must be equal to one of the allowed values"
                )
            if params["client"]["mode"] not in MODES:
                raise refusals.invalid(
                    "invalid connect params: at /client/mode: must be equal to one of the allowed values"
                )
        except Refused as refused:
            raise refusals.handshake(refused.message) from None

    def _origin(self, client: dict[str, Any], visitor: Visitor) -> None:
        browser = client["id"] in ("webchat", "webchat-ui", "openclaw-control-ui")
        if visitor.origin is None and not browser:
            return
        if visitor.origin not in visitor.own_origins:
            details = {"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED"}
            raise Refused("INVALID_REQUEST", "origin not allowed", details, close=1008)

    def _authorize(self, params: dict[str, Any], device: dict[str, Any] | None, visitor: Visitor) -> Admitted:
        auth = params.get("auth", {})
        self._heed_the_limit(visitor)
        shared = any(self._is_token(auth.get(name)) for name in ("token", "password"))
        known = self._devices.paired.get(device["id"]) if device else None
        given = [auth[name] for name in ("token", "deviceToken") if auth.get(name)]
        by_device = known is not None and any(
            hmac.compare_digest(each.encode(), known.token.encode()) for each in given
        )
        if not any(auth.values()) and device is None:
            details = {"code": "DEVICE_IDENTITY_REQUIRED"}
            raise Refused("NOT_PAIRED", "device identity required", details, close=1008)
        if not any(auth.values()):
            raise unauthorized(
                "gateway token missing", "AUTH_TOKEN_MISSING", "token_missing", "update_auth_credentials"
            )
        if not shared and not by_device:
            self._fail(visitor)
            raise unauthorized(
                "gateway token mismatch (provide gateway auth token)",
                "AUTH_TOKEN_MISMATCH",
                "token_mismatch",
                "update_auth_credentials",
                can_retry=known is not None and not auth.get("deviceToken"),
            )
        return self._scoped(params, device, visitor, shared)

    def _scoped(
        self, params: dict[str, Any], device: dict[str, Any] | None, visitor: Visitor, shared: bool
    ) -> Admitted:
        client, asked = params["client"], tuple(str(scope) for scope in params.get("scopes", []))
        role, caps = params.get("role", "operator"), frozenset(str(cap) for cap in params.get("caps", []))
        backend = client["id"] == "gateway-client" and client["mode"] == "backend"
        local = not visitor.remote and (backend or (client["id"] in ("cli", "gateway-client") and self.protocol > 3))
        if device is None or (local and backend and shared):
            granted = asked if local else ()
            return Admitted(client, role, granted, caps, "token", device["id"] if device else None)
        pending = Pending(device["id"], device["publicKey"], client, role, list(asked), visitor.address)
        known = self._devices.paired.get(pending.device_id)
        if known is None and not visitor.remote:
            known = self._devices.pair_silently(pending)
        if known is None:
            raise self._pairing(pending, "not-paired", "device is not approved yet")
        if not set(asked) <= set(known.scopes):
            if shared:
                raise self._pairing(pending, "scope-upgrade", "device asks for more scopes than approved")
            raise self._too_much()
        method = "token" if shared else "device-token"
        return Admitted(client, role, asked, caps, method, pending.device_id, known.token, known.at)

    def _too_much(self) -> Refused:
        if self.protocol < 4:
            why = "gateway token mismatch (provide gateway auth token)"
            return unauthorized(why, "AUTH_TOKEN_MISMATCH", "token_mismatch", "update_auth_credentials", can_retry=True)
        why = "device token scope mismatch (re-pair or approve scope upgrade)"
        return unauthorized(why, "AUTH_SCOPE_MISMATCH", "scope_mismatch", "review_auth_configuration")

    def _pairing(self, pending: Pending, reason: str, why: str) -> Refused:
        open_, new = self._devices.ask(pending)
        if new:
            self.asked.append(open_)
        details = {
            "code": "PAIRING_REQUIRED",
            "reason": reason,
            "requestId": open_.request_id,
            "remediationHint": "Approve this device from the pending pairing requests.",
            "deviceId": open_.device_id,
            "requestedRole": open_.role,
            "requestedScopes": open_.scopes,
        }
        message = f"pairing required: {why}"
        closing = f"{message} (requestId: {open_.request_id})"
        return Refused("NOT_PAIRED", message, details, close=1008, reason=closing)

    def _is_token(self, given: str | None) -> bool:
        return bool(given) and hmac.compare_digest(str(given).encode(), self.token.encode())

    def _heed_the_limit(self, visitor: Visitor) -> None:
        left = self._locked.get(visitor.address, 0.0) - time.monotonic()
        if visitor.remote and left > 0:
            details = {"code": "AUTH_RATE_LIMITED", "authReason": "rate_limited"}
            message = "unauthorized: too many failed authentication attempts (retry later)"
            raise Refused("INVALID_REQUEST", message, details, retry_after=left, close=1008)

    def _fail(self, visitor: Visitor) -> None:
        if not visitor.remote:
            return
        now, failed = time.monotonic(), self._failures[visitor.address]
        failed.append(now)
        while failed and failed[0] < now - WINDOW:
            failed.popleft()
        if len(failed) >= LIMIT:
            self._locked[visitor.address] = now + LOCKED
            failed.clear()


def is_loopback(address: str) -> bool:
    """The gateway's own machine."""
    return address.startswith(LOOPBACK)
